"""What a close is asked for: instruments by name, or everything an account holds."""

from __future__ import annotations

from dataclasses import dataclass

from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Kind, Mode, Plan, Target, request_key
from positions_mcp.domain.text import label
from positions_mcp.guard.kind import account_of, agree, checked_name, folded

_EVERYTHING = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRequest:
    """The arguments of a close. None means not given; `everything` takes no instruments."""

    account_id: AccountId | None = None
    instruments: tuple[str, ...] | None = None
    everything: bool = False
    cancel_orders: bool | None = None
    purpose: str = ""

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
        """As `PlanRequest`."""
        return self.instruments or ()


def key_of_close(request: CloseRequest, caller: str, mode: Mode) -> str:
    """As `OperationKind.key`."""
    return request_key(
        caller=caller,
        mode=mode,
        account_id=account_of(request),
        kind=request.kind,
        targets=[_EVERYTHING] if request.everything else [folded(checked_name(name)) for name in named(request)],
        cancel_orders=request.cancels,
    )


def named(request: CloseRequest) -> tuple[str, ...]:
    """The instruments of a new plan. Raises InvalidInput where none were given."""
    if request.instruments is None:
        raise InvalidInput("Neither instruments nor plan_id was given.", hint="Give one of them.")
    return request.instruments


def agree_on_close(request: CloseRequest, plan: Plan) -> None:
    """As `OperationKind.agree`."""
    agree("cancel_orders", request.cancel_orders, plan.cancel_orders, plan)
    if request.instruments is None:
        return
    found = [next((t for t in plan.targets if _is_called(t, name)), None) for name in request.instruments]
    for name, target in zip(request.instruments, found, strict=True):
        if target is None:
            agree("instruments", label(name), "otherwise", plan)
    if len({target.instrument_id for target in found if target}) != len(plan.targets):
        agree("instruments", f"{len(request.instruments)} names", f"{len(plan.targets)} targets", plan)


def _is_called(target: Target, name: str) -> bool:
    wanted = folded(name)
    return wanted in (folded(target.symbol), target.instrument_id.upper())
