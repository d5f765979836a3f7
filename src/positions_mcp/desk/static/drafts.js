// What is typed outlives an update, another page of the desk, a session that ends, and a reload. Never a passphrase.

const PREFIX = "desk-draft:";

export function drafted(name, field) {
  field.value = sessionStorage.getItem(PREFIX + name) ?? "";
  field.addEventListener("input", () => sessionStorage.setItem(PREFIX + name, field.value));
  return field;
}

export const drop = (name) => sessionStorage.removeItem(PREFIX + name);

export function dropAll() {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
}
