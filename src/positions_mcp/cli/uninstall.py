"""`positions-mcp uninstall HOST…`: take the server out of the configuration of hosts, and leave the rest as it is."""

from __future__ import annotations

import argparse
import os

from positions_mcp.cli.install import add_host_options, carried_out, hosts_named, name_the_hosts
from positions_mcp.cli.install.change import uninstalling
from positions_mcp.cli.install.hosts import Machine
from positions_mcp.cli.output import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_host_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Remove the entry from the hosts that are named. Returns 0 where none has it, 1 where a person said no."""
    machine = Machine.this(os.environ)
    if not arguments.hosts:
        return name_the_hosts(machine, "uninstall")
    code = 0
    for host in hosts_named(arguments.hosts):
        say(f"{host.title}:")
        change = uninstalling(host, host.file(machine), arguments.name)
        if not carried_out(change, arguments, keep_backup=False) and not arguments.dry_run:
            code = 1
    return code
