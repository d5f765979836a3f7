"""What a long list held goes a few at a time, in whatever order the lists that had it have gone."""

from __future__ import annotations

from weakref import WeakSet

import pytest

from positions_mcp.domain import letting_go
from positions_mcp.domain.letting_go import LongList, let_go_some


class Item:
    pass


@pytest.mark.one_process("looks at what its own process holds")
@pytest.mark.parametrize("shared", [False, True])
def test_the_items_of_a_long_list_go_a_few_at_a_time(shared: bool) -> None:
    while let_go_some():
        pass
    items, alive = LongList[Item](), WeakSet[Item]()
    for _ in range(3 * letting_go._MANY):
        items.append(Item())
        alive.add(items[-1])
    other = LongList(reversed(items)) if shared else None
    del items
    assert len(alive) == 3 * letting_go._MANY
    del other
    left = [len(alive)]
    while let_go_some():
        left.append(len(alive))
    assert not alive
    assert max(before - after for before, after in zip(left, [*left[1:], 0], strict=True)) <= letting_go._MANY


@pytest.mark.one_process("looks at what its own process holds")
def test_what_a_short_list_held_goes_with_it() -> None:
    items, alive = LongList[Item](Item() for _ in range(3)), WeakSet[Item]()
    alive.update(items)
    del items
    assert not alive
