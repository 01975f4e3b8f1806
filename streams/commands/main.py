"""The `sensorium` command line.

Each command's module is imported only when it is called.
"""

from importlib import import_module
from typing import Any

import click

from streams.commands.output import emit_error

COMMANDS: dict[str, str] = {
    # roles
    "receive": "streams.commands.roles:receive",
    "stream": "streams.commands.roles:stream",
    "sink": "streams.commands.roles:sink",
    "console": "streams.commands.roles:console",
    "local-models": "streams.commands.roles:local_models",
    "stand-in": "streams.commands.roles:stand_in",
    # this machine
    "up": "streams.commands.up:up",
    "down": "streams.commands.up:down",
    "status": "streams.commands.up:status",
    "parts": "streams.commands.up:parts",
    "demo": "streams.commands.demo:demo",
    # set-up
    "topics": "streams.commands.topics:topics",
    "migrate": "streams.commands.migrate:migrate",
    "doctor": "streams.commands.doctor:doctor",
    "tenants": "streams.commands.tenants:tenants",
    "endpoints": "streams.commands.endpoints:endpoints",
    "keys": "streams.commands.keys:keys",
    "users": "streams.commands.users:users",
    "portal": "streams.commands.users:portal",
    "secrets": "streams.commands.secrets:secrets",
    "readers": "streams.commands.readers:readers",
    # traffic
    "send": "streams.commands.send:send",
    "tail": "streams.commands.tail:tail",
    "trace": "streams.commands.trace:trace",
    "audit": "streams.commands.audit:audit",
    "attachments": "streams.commands.overview:attachments",
    "queue": "streams.commands.queue:queue",
    "usage": "streams.commands.overview:usage",
    "log": "streams.commands.overview:log",
    # repair
    "quarantine": "streams.commands.quarantine:quarantine",
    "replay": "streams.commands.replay:replay",
    "repairs": "streams.commands.repairs:repairs",
    "resume": "streams.commands.resume:resume",
    "sweep": "streams.commands.sweep:sweep",
    "erase": "streams.commands.erase:erase",
    "recover": "streams.commands.recover:recover",
}


class LazyCommands(click.Group):
    """Imports a command's module when it is called.

    A role therefore starts without the libraries of other roles.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["as_json"] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Prints a JSON document for --json even if a command fails before it has printed one."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            if ctx.meta["as_json"]:
                emit_error(error)
            raise


@click.group(cls=LazyCommands)
@click.version_option(package_name="sensorium", prog_name="sensorium")
@click.option(
    "--home",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Folder of the installation that `up` started.  [default: SENSORIUM_HOME, else var]",
)
@click.pass_context
def main(context: click.Context, home: str | None) -> None:
    """Turns the webhooks of chat providers into enriched messages, each once."""
    context.meta["sensorium.home"] = home


if __name__ == "__main__":
    main()
