"""Whether a recorded history keeps the promises. Plain code that imports nothing of the program.

    python checker.py HISTORY.json

A history is what four witnesses saw, each apart from the others: the exchange (effects and orders), the wire in front
of it (requests that closed something), the journal (as SQL gives it), and the clients (what they asked, what a person
decided in front of them, what they were told). Exit code 1 if any promise was broken.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]
Target = tuple[int, str]
"""An account and the id of an instrument."""

NEVER_LEFT = ("NOT_SENT", "REJECTED")
"""States of a row that say: nothing was closed."""
CLOSED = ("SUBMITTED", "QUEUED", "DEVIATED", "SENT", "ACCEPTED")
"""States of a row that say: an order or an instruction was made."""
ONE_REQUEST = {"close_all_positions": "*", "submit_instructions": "instructions"}
"""Kinds of plans of which all rows leave in one request, and what their target is called."""
EFFECTS = {"close_position": "", "close_positions": "*", "submit_position_instructions": "instructions"}
"""What the exchange calls what such requests do; the target of the first is the instrument."""
_UNSENT_BY_CALL = "othing was sent by this call"
_PATH = re.compile(r"/v1/accounts/(\d+)/positions(?:/([^/?]+))?(?:\?.*)?$")


@dataclass
class Intent:
    """One row of one operation that the journal says was about to leave, each time it was."""

    operation: str
    target: Target
    position: int
    states: list[str] = field(default_factory=list)
    """What the journal said of it, in its order."""
    orders: set[str] = field(default_factory=set)

    @property
    def attempts(self) -> int:
        return self.states.count("SENDING")

    @property
    def may_have_left(self) -> int:
        """Attempts of which the journal does not say that nothing left."""
        return sum(
            state == "SENDING" and (self.states[number + 1 : number + 2] or ["?"])[0] != "NOT_SENT"
            for number, state in enumerate(self.states)
        )


class History:
    """What the witnesses saw, by target."""

    def __init__(self, record: Record) -> None:
        self.journal: Sequence[Record] = record["journal"]
        self.clients: Sequence[Record] = record["clients"]
        self.decisions: Sequence[Record] = record["decisions"]
        self.verified: Record = record["verified"]
        self.mandates: Sequence[Record] = record.get("mandates", ())
        self.acts: Sequence[Record] = record.get("acts", ())
        self.by_two: bool = record.get("by_two", False)
        self.plans = {row["id"]: json.loads(row["plan"]) for row in record["operations"]}
        self.targets = {
            name: [(plan["account_id"], whole)]
            if (whole := ONE_REQUEST.get(plan.get("kind", "")))
            else [(plan["account_id"], target["instrument_id"]) for target in plan["targets"]]
            for name, plan in self.plans.items()
        }
        orders = {order["id"]: order for order in record["exchange"]["orders"]}
        self.made: dict[Target, list[set[str]]] = {}
        """The orders of each effect, by what it closed."""
        self.strange: list[Record] = []
        """Effects that are no close of one position."""
        for effect in record["exchange"]["effects"]:
            of_one = [orders[order]["instrument_id"] for order in effect["made"] if order in orders]
            target = EFFECTS.get(effect["operation"], "?") or (of_one[0] if len(of_one) == 1 else "?")
            if target == "?":
                self.strange.append(effect)
                continue
            self.made.setdefault((effect["account"], target), []).append(set(effect["made"]))
        self.wire, self.arrived = (_by_target(record.get(name, record["wire"])) for name in ("wire", "arrived"))
        """When requests passed, and when they left their server, by what they were to close."""
        self.intents = self._intents()
        at_desk = {each["operation_id"] for each in self.decisions if each.get("how") == "desk"}
        self.own = {
            each.get("call") for each in self.decisions if each["approved"] and each["operation_id"] not in at_desk
        }
        """Calls that a person said yes to in front of their client, and nobody elsewhere: none but they may send it."""
        self.approved = Counter(entry["operation_id"] for entry in self.journal if entry["event"] == "approved")

    def of(self, target: Target) -> list[Intent]:
        """The intents about one target."""
        return [intent for intent in self.intents.values() if intent.target == target]

    def may_have_left(self, operation: str) -> bool:
        """Whether the journal leaves open that any row of it left."""
        return any(intent.may_have_left for intent in self.intents.values() if intent.operation == operation)

    def _intents(self) -> dict[tuple[str, int], Intent]:
        found: dict[tuple[str, int], Intent] = {}
        for entry in self.journal:
            for row in json.loads(entry["content"]).get("rows", ()) if entry["operation_id"] else ():
                whole = len(self.targets[entry["operation_id"]]) == 1
                key = entry["operation_id"], 0 if whole else row["position"]
                state = row.get("state", "")
                if key not in found:
                    if state != "SENDING":
                        continue
                    found[key] = Intent(key[0], self.targets[key[0]][key[1]], key[1])
                intent = found[key]
                intent.orders |= {order["order_id"] for order in row.get("orders", ())}
                intent.orders |= {row["instruction_id"]} if row.get("instruction_id") else set()
                if row["position"] != key[1]:
                    continue  # it left with the first one
                if not intent.states or intent.states[-1] != state or entry["event"] == "sending":
                    intent.states.append(state)
        return found


def broken(record: Record) -> list[str]:
    """Every promise that the history breaks, in words."""
    history = History(record)
    return [words for rule in RULES for words in rule(history)]


def at_most_one_request(history: History) -> Iterator[str]:
    """Of one approval at most one request leaves, and it has at most one effect."""
    for intent in history.intents.values():
        if intent.may_have_left > 1:
            yield f"{_row(intent)} may have left {intent.may_have_left} times under one approval"
    for target in {*history.made, *history.wire}:
        intents = history.of(target)
        attempts, effects = sum(intent.attempts for intent in intents), history.made.get(target, [])
        requests = len(history.wire.get(target, []))
        may = sum(min(intent.may_have_left, 1) for intent in intents)
        if requests > attempts:
            yield f"{_target(target)}: {requests} requests passed, and {attempts} were journalled"
        if len(effects) > may:
            yield f"{_target(target)}: {len(effects)} effects, and at most {may} of the approved requests left"
    for name, times in history.approved.items():
        if times > 1:
            yield f"{name} was approved {times} times"


def every_effect_was_meant(history: History) -> Iterator[str]:
    """Nothing happens at the exchange without an intent, nothing is meant without an approval before it."""
    for effect in history.strange:
        yield f"effect {effect['number']} is a {effect['operation']} that nobody asked for"
    for target in history.made:
        if not history.of(target):
            yield f"{_target(target)} was closed without an intent in the journal"
    approved: set[str] = set()
    for entry in history.journal:
        if entry["event"] == "approved":
            approved.add(entry["operation_id"])
        elif entry["event"] == "sending" and entry["operation_id"] not in approved:
            yield f"{entry['operation_id']} was sent before it was approved"


def every_approval_was_a_persons(history: History) -> Iterator[str]:
    """What the journal calls approved, as many people as it takes have approved, or a mandate covers it."""
    said: defaultdict[str, set[str]] = defaultdict(set)
    for decision in history.decisions:
        if decision["approved"]:
            said[decision["operation_id"]].add(decision.get("by", ""))
    under: Counter[str] = Counter()
    signed = {mandate["mandate"]: mandate for mandate in history.mandates}
    for entry in history.journal:
        if entry["event"] != "approved":
            continue
        name, mandate = entry["operation_id"], signed.get(json.loads(entry["content"]).get("mandate", ""))
        plan = history.plans.get(name, {})
        if mandate is not None and mandate["account"] == plan.get("account_id"):
            under[mandate["mandate"]] += 1
        elif name not in said:
            yield f"{name} is approved in the journal, and no person said so"
        elif history.by_two and plan.get("kind") == "close_all_positions" and len(said[name]) < 2:
            yield f"{name} is approved in the journal, and one person alone said so"
    for name, times in under.items():
        if times > signed[name]["operations"]:
            yield f"{times} operations went by mandate {name}, which allows {signed[name]['operations']}"


def no_intent_is_lost(history: History) -> Iterator[str]:
    """What was about to leave comes to an end, and the end is true."""
    of_row: dict[str, Intent] = {order: intent for intent in history.intents.values() for order in intent.orders}
    for target, effects in history.made.items():
        intents = history.of(target)
        unknown = [intent for intent in intents if intent.states[-1] not in (*NEVER_LEFT, *CLOSED)]
        unclaimed = [made for made in effects if not made & set(of_row)]
        if len(unclaimed) > len(unknown):
            yield f"{_target(target)}: {len(unclaimed)} effects that the journal does not know of"
    happened = {order for effects in history.made.values() for made in effects for order in made}
    for intent in history.intents.values():
        last = intent.states[-1]
        if last == "SENDING":
            yield f"{_row(intent)} is still SENDING"
        if last in NEVER_LEFT and intent.orders & happened:
            yield f"{_row(intent)} says {last}, and it was closed"
        if last in CLOSED and not intent.orders & happened:
            yield f"{_row(intent)} says {last}, and it was not closed"


def clients_are_told_the_truth(history: History) -> Iterator[str]:
    """Who is told that nothing was sent had no request leave meanwhile; who is told that it was had one.

    Where an operation is named, it is about that one: another caller's may leave at the same time.
    """
    for call in history.clients:
        account, instrument = call["account"], call["instrument"]
        about = f"call {call['number']} about {account} {instrument}"
        requests = history.wire.get((account, instrument), [])
        passed = [at for at in requests if call["began"] <= at <= call["ended"]]
        told = call.get("told") or ""
        if _UNSENT_BY_CALL in told and passed and call["number"] in history.own:
            yield f"call {call['number']} was told that it sent nothing, and what was approved in it was sent: {told}"
        # It says nothing of other servers, which may send what the desk approved.
        name = call.get("operation_id")
        unsent = "othing was sent" in told.replace(_UNSENT_BY_CALL, "")
        if unsent and passed and (not name or history.may_have_left(name)):
            yield f"{about} was told that nothing was sent, and it was: {told}"
        if call.get("sent") == "yes" and not requests:
            yield f"{about} was told that it was sent, and it was not"
        left = history.arrived.get((account, instrument), ())
        if "equest was sent" in told and all(at > call["ended"] for at in left):
            yield f"{about} was told that a request was sent, and none had left: {told}"


def no_halt_is_overtaken(history: History) -> Iterator[str]:
    """What a halt covers is not about to leave after the entry that sets it, until the one that ends it."""
    standing: dict[str, Record] = {}
    for entry in sorted(history.journal, key=lambda entry: entry["sequence"]):
        content = json.loads(entry["content"])
        if entry["event"] == "halted":
            standing[_scope(content)] = content
        elif entry["event"] == "resumed":
            for scope in ({}, *content.get("scopes", ())):
                standing.pop(_scope(scope), None)
        elif entry["event"] == "sending":
            plan = history.plans[entry["operation_id"]]
            for halt in standing.values():
                if _covers(halt, plan):
                    yield f"entry {entry['sequence']} sends {entry['operation_id']} under a halt: {halt['reason']}"


def people_are_told_the_truth(history: History) -> Iterator[str]:
    """A no that was taken stops it, a yes that was refused approves nothing, a halt that is told stands."""
    events: defaultdict[str, list[str]] = defaultdict(list)
    for entry in history.journal:
        events[entry["operation_id"] or ""].append(entry["event"])
    by_form = {each["operation_id"] for each in history.decisions if each["approved"] and each.get("how") == "form"}
    yeses: defaultdict[str, list[bool]] = defaultdict(list)
    for act in history.acts:
        name, of_it = act["operation"], events[act["operation"]]
        if act["actor"].startswith("yes"):
            yeses[name].append(act["done"] or not act.get("refused"))
            if act["done"] and not {"approved", "first yes"} & set(of_it):
                yield f"{act['actor']} to {name} was taken, and the journal does not know of it"
        elif act["actor"] == "no" and act["done"] and ("sending" in of_it or "declined" not in of_it):
            yield f"a no to {name} was taken, and it was sent, or the journal does not know of it"
        elif "halt" in act["actor"] and act["done"] and "halted" not in events[""]:
            yield f"{act['actor']} was told that it is halted, and it is not"
    for name, taken in yeses.items():
        if not any(taken) and name not in by_form and "approved" in events[name]:
            yield f"every yes to {name} was refused, and it is approved"


def the_journal_is_whole(history: History) -> Iterator[str]:
    """In every chain of it each entry follows the one before, so that none is missing and none was put between."""
    if not history.verified.get("intact"):
        yield f"the journal does not verify: {history.verified.get('problem')}"
    last: dict[str, str] = {}
    for entry in history.journal:
        chain = entry.get("chain", "")
        if entry["previous"] != last.get(chain, entry["previous"]):
            yield f"entry {entry['sequence']} does not follow the one before it in its chain"
        last[chain] = entry["hash"]


RULES = (
    at_most_one_request,
    every_effect_was_meant,
    every_approval_was_a_persons,
    no_intent_is_lost,
    clients_are_told_the_truth,
    no_halt_is_overtaken,
    people_are_told_the_truth,
    the_journal_is_whole,
)


def counts(record: Record) -> dict[str, int]:
    """What the history amounts to."""
    history = History(record)
    return {
        "calls": len(history.clients),
        "approvals": sum(history.approved.values()),
        "intents": sum(intent.attempts for intent in history.intents.values()),
        "requests": sum(map(len, history.wire.values())),
        "effects": sum(map(len, history.made.values())),
        "unknown": sum(intent.states[-1] == "UNKNOWN" for intent in history.intents.values()),
        "entries": len(history.journal),
    }


def _by_target(requests: Sequence[Record]) -> dict[Target, list[float]]:
    found: defaultdict[Target, list[float]] = defaultdict(list)
    for request in requests:
        if path := _PATH.search(request["path"]):
            found[int(path[1]), path[2] or "*"].append(request["at"])
    return dict(found)


def _scope(halt: Record) -> str:
    return repr([halt.get("account_id"), halt.get("caller", ""), halt.get("kind")])


def _covers(halt: Record, plan: Record) -> bool:
    """Whether a halt forbids a plan; a caller is named in full, as an agent's own halt does."""
    kind = "exercise" if "instruction" in plan.get("kind", "") else "close"
    return (
        halt.get("account_id") in (None, plan["account_id"])
        and halt.get("caller", "") in ("", plan.get("caller"))
        and halt.get("kind") in (None, kind)
    )


def _row(intent: Intent) -> str:
    return f"{intent.operation} row {intent.position} ({_target(intent.target)}: {', '.join(intent.states)})"


def _target(target: Target) -> str:
    return f"{target[0]} {target[1][:8]}"


if __name__ == "__main__":
    recorded = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found = broken(recorded)
    print("\n".join([", ".join(f"{number} {what}" for what, number in counts(recorded).items()), *found]))
    sys.exit(1 if found else 0)
