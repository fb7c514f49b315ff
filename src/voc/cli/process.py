"""`voc process`: validate process maps, draft one from a log, import reference flows.

`register` adds `voc deviations` too: the one command that holds logs against these maps.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from voc.cli import deviations
from voc.errors import UsageError
from voc.files import check_output, open_output
from voc.process.discover import discover_map
from voc.process.flows import read_flows
from voc.process.logs import read_log
from voc.process.map_files import read_maps
from voc.process.map_writer import write_map


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Process maps: check, discover, import.")
    group.command("check")(check)
    group.command("discover")(discover)
    group.command("import")(import_flows)
    app.add_typer(group, name="process")
    deviations.register(app)


def check(
    process_map: Annotated[str, typer.Argument(metavar="MAP", help="A map (YAML) or a folder of maps.")],
) -> None:
    """Validate process maps: keys, names, times, and rules that no case could ever keep.

    Says for each map what it will check and which steps nobody owns.

    Example: voc process check maps/claims.yaml
    """
    deviations.must_exist(process_map, "map")
    for one in read_maps(process_map):
        unowned = [step.name for step in one.steps if step.owner is None and one.owner is None]
        n_timed = sum(step.service_level_s is not None for step in one.steps)
        print(
            f"{one.process}: {len(one.steps)} steps ({sum(step.mandatory for step in one.steps)} mandatory, "
            f"{n_timed} with a service level), {len(one.rules)} order rules"
            + (f", a flow of {len(one.flow)} steps" if one.flow else "")
        )
        if unowned:
            more = f" and {len(unowned) - 5} more" if len(unowned) > 5 else ""
            print(f"voc process: nobody is accountable for {', '.join(unowned[:5])}{more}", file=sys.stderr)


def discover(
    log: Annotated[str, typer.Argument(help="An event log; '-' reads stdin.")],
    name: Annotated[str | None, typer.Option(help="Name of the map. [default: the file's name]")] = None,
    object_type: Annotated[str | None, typer.Option(help="For OCEL: whose events make a case.")] = None,
    output: Annotated[str | None, typer.Option(help="Where to write; stdout if not given.")] = None,
) -> None:
    """Draft a process map from a log, for a person to edit.

    Steps in their usual order, which of them are mandatory, how often they may repeat, order rules,
    what may follow what, and limits beyond what is usual. Deviating cases are left out as far as they
    can be told. Check the owners and tighten the limits: a log shows what happens, not what was promised.

    Example: voc process discover log.csv --output map.yaml
    """
    check_output(output)
    deviations.must_exist(log, "log")
    read = read_log(sys.stdin.buffer.read() if log == "-" else log, object_type=object_type, name=log)
    title = name or ("process" if log == "-" else Path(log).name.split(".")[0])
    process_map, notes = discover_map(read.events, title)
    with open_output(output) as out:
        out.write(
            f"# Drafted from {read.n_cases} cases. Check owners and limits before anyone is held to them.\n"
        )
        out.write(write_map(process_map, notes))
    print(
        f"voc process: {len(process_map.steps)} steps and {len(process_map.rules)} rules "
        f"from {read.n_cases} cases",
        file=sys.stderr,
    )


def import_flows(
    flows: Annotated[str, typer.Argument(help="JSON: flow name to its graph.")],
    output: Annotated[str, typer.Option(help="Folder for the maps, one file each.")],
    case_attribute: Annotated[
        str, typer.Option(help="Attribute of a case that names its flow, or lists its flows.")
    ] = "tasks",
    end: Annotated[str | None, typer.Option(help="The activity that finishes a case.")] = None,
) -> None:
    """Import reference flow graphs (as STAR publishes them) as process maps.

    Questions whose answer a customer may volunteer stay optional; look-ups are mandatory.

    Example: voc process import star_reference.json --output maps/ --end dialogue_complete
    """
    deviations.must_exist(flows, "file of flows")
    maps = read_flows(flows, case_attribute=case_attribute, end=end)
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{output}: cannot be made ({error.strerror}); check the path") from error
    for one in maps:
        with open_output(str(folder / f"{one.name.replace('/', '_')}.yaml")) as out:
            out.write(write_map(one))
    print(f"voc process: {len(maps)} maps written to {output}", file=sys.stderr)
