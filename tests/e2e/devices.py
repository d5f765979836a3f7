"""Chromium's virtual authenticator: a device with passkeys, as the person in front of it has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import CDPSession

from e2e.people import Person


@dataclass
class Device:
    """The device of a person's tab. It touches by itself."""

    cdp: CDPSession
    name: str

    @classmethod
    def of(cls, person: Person, *, verifies: bool = True) -> Device:
        """Plug one in; `verifies` says whether it can ask for a finger or a PIN."""
        cdp = person.page.context.new_cdp_session(person.page)
        cdp.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": verifies,
            "isUserVerified": verifies,
            "automaticPresenceSimulation": True,
        }
        made = cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        return cls(cdp, made["authenticatorId"])

    @property
    def passkeys(self) -> list[Mapping[str, Any]]:
        """What is on it."""
        found: list[Mapping[str, Any]] = self._send("WebAuthn.getCredentials")["credentials"]
        return found

    def takes(self, passkey: Mapping[str, Any]) -> None:
        """Have a passkey that was made on another one: the same device at another browser."""
        self._send("WebAuthn.addCredential", credential=dict(passkey))

    def recognises(self, *, whoever_it_is: bool) -> None:
        """Whether it takes the person for its owner."""
        self._send("WebAuthn.setUserVerified", isUserVerified=whoever_it_is)

    def becomes_a_copy(self, counted: int) -> None:
        """The same passkey, from a backup made when it had signed so often."""
        (passkey,) = self.passkeys
        self._send("WebAuthn.removeCredential", credentialId=passkey["credentialId"])
        self._send("WebAuthn.addCredential", credential={**passkey, "signCount": counted})

    def _send(self, what: str, **options: Any) -> Any:
        return self.cdp.send(what, {"authenticatorId": self.name, **options})
