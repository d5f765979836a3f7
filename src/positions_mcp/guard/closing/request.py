"""What a close is asked for: instruments by name, or everything an account holds."""

from __future__ import annotations

from dataclasses import dataclass

from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.operation.plan import Kind, Plan, Target
from positions_mcp.domain.text import label
from positions_mcp.guard.kind import PlanRequest, checked_name, expect_same, folded

_EVERYTHING = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRequest(PlanRequest):
    """The arguments of a close. None means not given; `everything` takes no instruments."""

    instruments: tuple[str, ...] | None = None
    everything: bool = False
    cancel_orders: bool | None = None

    @property
    def kind(self) -> Kind:
        """One request for each instrument, or one for the whole account."""
        return Kind.CLOSE_ALL_POSITIONS if self.everything else Kind.CLOSE_POSITIONS

    @property
    def cancels(self) -> bool:
        """Whether open orders are cancelled first; not unless it is asked for."""
        return bool(self.cancel_orders)

    @property
    def names(self) -> tuple[str, ...]:
        return self.instruments or ()

    @property
    def named(self) -> tuple[str, ...]:
        if self.instruments is None:
            raise InvalidInput("Neither instruments nor plan_id was given.", hint="Give one of them.")
        return self.instruments

    @property
    def asked(self) -> list[str]:
        return [_EVERYTHING] if self.everything else [folded(checked_name(name)) for name in self.named]

    def agree(self, plan: Plan) -> None:
        """The same instruments, by whatever name, and the same about open orders."""
        expect_same("cancel_orders", self.cancel_orders, plan.cancel_orders, plan)
        if self.instruments is None:
            return
        found = [next((t for t in plan.targets if _is_called(t, name)), None) for name in self.instruments]
        for name, target in zip(self.instruments, found, strict=True):
            if target is None:
                expect_same("instruments", label(name), "otherwise", plan)
        if len({target.instrument_id for target in found if target}) != len(plan.targets):
            expect_same("instruments", f"{len(self.instruments)} names", f"{len(plan.targets)} targets", plan)


def _is_called(target: Target, name: str) -> bool:
    wanted = folded(name)
    return wanted in (folded(target.symbol), target.instrument_id.upper())
