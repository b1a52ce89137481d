"""The Python language host: runs programs with the official runner, and policy packs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from lab import toolchain
from lab.standins import children, interpreter, plugin, wire
from lab.standins.children import Children
from lab.standins.engine import EngineLog
from lab.standins.interpreter import Interpreter, InterpreterError

VERSION = "3.259.0"
"""Of the engine and of its runner."""

_SHOWN_ALREADY = 32  # the runner's exit code when it has printed the user's error


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Serves Python projects to the engine at address `engine`.

    `runner` is the official script that runs a program, pulumi-language-python-exec.
    """

    def __init__(self, runner: Path, engine: str) -> None:
        self._runner = runner
        self._engine = engine
        self._children = Children()

    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        """None: the engine would download what is listed, though a stand-in is on PATH.

        Nothing is lost: each resource names its package, and the engine then looks on PATH first.
        """
        return language_pb2.GetRequiredPackagesResponse()

    def About(
        self, request: language_pb2.AboutRequest, context: grpc.ServicerContext
    ) -> language_pb2.AboutResponse:
        chosen = _interpreter(request.info, context)
        toolchain_option = wire.decode(request.info.options).get("toolchain", "pip")
        return language_pb2.AboutResponse(
            executable=str(chosen.executable),
            version=_result(chosen, "import platform; print(platform.python_version())"),
            metadata={"toolchain": str(toolchain_option), "languageHost": "the lab's stand-in"},
        )

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        """Every installed distribution, whether or not transitive ones are asked for."""
        listing = _result(_interpreter(request.info, context), _LIST_DISTRIBUTIONS)
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=name, version=version)
                for name, version in json.loads(listing)
            ]
        )

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        root = Path(request.info.root_directory)
        try:
            commands = interpreter.install_commands(root, wire.decode(request.info.options))
        except InterpreterError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        # A virtual environment that is active here is not the one to fill.
        variables = {key: text for key, text in os.environ.items() if key != "VIRTUAL_ENV"}
        for command in commands:
            with self._children.start(command, root, variables, context) as child:
                for stream, data in children.output(child):
                    yield language_pb2.InstallDependenciesResponse(**{stream: data})
            if child.returncode:
                failed = f"`{' '.join(command)}` in {root} failed with exit code {child.returncode}"
                context.abort(grpc.StatusCode.UNKNOWN, failed)

    def Run(
        self, request: language_pb2.RunRequest, context: grpc.ServicerContext
    ) -> language_pb2.RunResponse:
        EngineLog(self._engine).announce("python", "pulumi-language-python")
        chosen = _interpreter(request.info, context)
        variables = chosen.variables() | {
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        command = [str(chosen.executable), "-u", str(self._runner)]
        command += _runner_arguments(request, self._engine)
        directory = Path(request.info.program_directory)
        # The engine shows what this process writes: the program writes there directly.
        with self._children.start(command, directory, variables, context, output=None) as child:
            pass
        code = child.returncode
        if code in (0, _SHOWN_ALREADY):
            return language_pb2.RunResponse(bail=code == _SHOWN_ALREADY)
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with non-zero exit code: {code}"
        return language_pb2.RunResponse(error=f"program exited {how}")

    def RunPlugin(
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        directory = request.info.program_directory
        if not (Path(directory) / "__main__.py").is_file():
            context.abort(grpc.StatusCode.NOT_FOUND, f"{directory} has no __main__.py to run")
        chosen = _interpreter(request.info, context)
        variables = chosen.variables() | dict(entry.split("=", 1) for entry in request.env)
        command = [str(chosen.executable), "-u"]
        if request.kind == "analyzer":
            # Policy packs run in their own folder, and take it last.
            working = Path(directory)
            command += ["-m", "pulumi.policy", *request.args, directory]
        else:
            working = Path(request.pwd)
            command += [directory, *request.args]
        with self._children.start(command, working, variables, context) as child:
            for stream, data in children.output(child):
                if stream == "stdout":
                    yield language_pb2.RunPluginResponse(stdout=data)
                else:
                    yield language_pb2.RunPluginResponse(stderr=data)
        yield language_pb2.RunPluginResponse(exitcode=child.returncode)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self._children.end()
        return empty_pb2.Empty()


_LIST_DISTRIBUTIONS = """
import importlib.metadata, json
found = {each.name: each.version for each in importlib.metadata.distributions() if each.name}
print(json.dumps(sorted(found.items())))
"""


def _interpreter(info: language_pb2.ProgramInfo, context: grpc.ServicerContext) -> Interpreter:
    try:
        return interpreter.find(Path(info.root_directory), wire.decode(info.options))
    except InterpreterError as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))


def _result(chosen: Interpreter, code: str) -> str:
    """What the code prints."""
    command = [str(chosen.executable), "-c", code]
    variables = chosen.variables()
    done = subprocess.run(command, env=variables, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _runner_arguments(request: language_pb2.RunRequest, engine: str) -> list[str]:
    options = {
        "monitor": request.monitor_address,
        "engine": engine,
        "project": request.project,
        "root_directory": request.info.root_directory,
        "stack": request.stack,
        "pwd": request.pwd,
        "dry_run": "true" if request.dryRun else "false",
        "parallel": str(request.parallel),
        "organization": request.organization,
    }
    given = [text for key, value in options.items() if value for text in (f"--{key}", value)]
    return [*given, request.info.entry_point, *request.args]


def main() -> None:
    """Serves until the engine ends this process; of its arguments only the address counts."""
    engine = next(argument for argument in sys.argv[1:] if not argument.startswith("-"))
    runner = next(toolchain.module("pulumi").rglob("pulumi-language-python-exec"))
    server = plugin.new_server()
    host = LanguageHost(runner, engine)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    plugin.run(server)


if __name__ == "__main__":
    main()
