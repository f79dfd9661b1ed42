"""Generate shell completion for bash, zsh and fish from the parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PROGRAM = "ferry-admin"


@dataclass(frozen=True, slots=True)
class Node:
    """A command, and what may follow it."""

    path: str
    """The words up to it, joined by slashes: `ferry-admin/client/add`."""
    words: Sequence[tuple[str, str]]
    """Subcommands, options and choices of arguments, each with its help."""
    choices: Sequence[tuple[str, Sequence[str]]]
    """Options that take one of a fixed set of values, with the values."""


def generate(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the completion script for `bash`, `zsh` or `fish`."""
    nodes = list(_walk(parser, PROGRAM))
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](nodes)


def _walk(parser: argparse.ArgumentParser, path: str) -> Iterator[Node]:
    words: list[tuple[str, str]] = []
    choices: list[tuple[str, Sequence[str]]] = []
    children: list[Node] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {pseudo.dest: pseudo.help or "" for pseudo in action._choices_actions}
            words += [(name, helps.get(name, "")) for name in action.choices]
            for name, child in action.choices.items():
                children += _walk(child, f"{path}/{name}")
        elif action.option_strings:
            words.append((action.option_strings[-1], action.help or ""))
            if action.choices:
                choices.append((action.option_strings[-1], [str(choice) for choice in action.choices]))
        elif action.choices:
            words += [(str(choice), action.help or "") for choice in action.choices]
    yield Node(path, words, choices)
    yield from children


def _path_loop(nodes: Sequence[Node], first: int, last: str, array: str) -> str:
    """Return the lines that find the current command, in bash and zsh."""
    known = "|".join(node.path for node in nodes[1:])
    return f"""\
    local command={PROGRAM} index
    for ((index = {first}; index < {last}; index++)); do
        case "$command/${{{array}[index]}}" in
            {known}) command="$command/${{{array}[index]}}" ;;
        esac
    done"""


def _bash(nodes: Sequence[Node]) -> str:
    values = "".join(
        f'        {node.path}:{option}) words="{" ".join(choices)}" ;;\n'
        for node in nodes
        for option, choices in node.choices
    )
    words = "".join(f'        {node.path}:*) words="{" ".join(word for word, _ in node.words)}" ;;\n' for node in nodes)
    return f"""\
# bash completion for {PROGRAM}: source <({PROGRAM} completion bash)
_ferry_admin() {{
    local words=""
{_path_loop(nodes, 1, "COMP_CWORD", "COMP_WORDS")}
    case "$command:${{COMP_WORDS[COMP_CWORD-1]}}" in
{values}{words}    esac
    COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _ferry_admin {PROGRAM} ./{PROGRAM}
"""


def _zsh(nodes: Sequence[Node]) -> str:
    def quoted(word: str, help_text: str = "") -> str:
        text = word.replace(":", "\\:") + (f":{help_text}" if help_text else "")
        return "'" + text.replace("'", "'\\''") + "'"

    values = "".join(
        f"        {node.path}:{option}) found=({' '.join(map(quoted, choices))}) ;;\n"
        for node in nodes
        for option, choices in node.choices
    )
    words = "".join(
        f"        {node.path}:*) found=({' '.join(quoted(*word) for word in node.words)}) ;;\n" for node in nodes
    )
    return f"""\
#compdef {PROGRAM}
# zsh completion for {PROGRAM}: source <({PROGRAM} completion zsh)
_ferry_admin() {{
    local -a found
{_path_loop(nodes, 2, "CURRENT", "words")}
    case "$command:${{words[CURRENT-1]}}" in
{values}{words}    esac
    _describe {PROGRAM} found || _files
}}
compdef _ferry_admin {PROGRAM}
"""


def _fish(nodes: Sequence[Node]) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    lines = []
    for node in nodes:
        here = f"complete -c {PROGRAM} -n 'test (__ferry_admin_command) = {node.path}'"
        choices = dict(node.choices)
        for word, help_text in node.words:
            if word.startswith("--"):
                values = f" -x -a {quoted(' '.join(choices[word]))}" if word in choices else ""
                lines.append(f"{here} -l {word.removeprefix('--')}{values} -d {quoted(help_text)}")
            else:
                lines.append(f"{here} -f -a {quoted(word)} -d {quoted(help_text)}")
    known = " ".join(node.path for node in nodes[1:])
    return f"""\
# fish completion for {PROGRAM}: {PROGRAM} completion fish | source
function __ferry_admin_command
    set -l command {PROGRAM}
    for word in (commandline -opc)[2..-1]
        if contains -- "$command/$word" {known}
            set command "$command/$word"
        end
    end
    echo $command
end
{chr(10).join(lines)}
"""
