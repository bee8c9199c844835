"""The documents agree with the code: commands, options, packages, files and links that they name exist."""

import argparse
import ast
import re

import pytest
from support.documents import LINK, ROOT, code_blocks, document, quoted, steps_of_an_analysis

from ecg_core.classifier.spec import find_models, read_spec
from ecg_core.cli import main as command_line
from ecg_core.live.alarm_lines import KINDS

DOCUMENTS = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "models/README.md", "demo_data/README.md"]
DOCUMENTS += sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
COMMANDS_PAGE = document("docs/commands.md")
DRAWN_WIDTH = 51  # of the drawing's packages; explanations stand to their right
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
ANCHOR = re.compile(r"\]\(([^)#\s]*)#([^)]+)\)")


def subcommands():
    """Name and parser of each command."""
    parser = command_line._parser()
    (action,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(action.choices)


def options_of(parser):
    """Long options of a command, without --help."""
    return {option for option in parser._option_string_actions if option.startswith("--")} - {"--help"}


def slug(heading):
    """Anchor of a heading, as GitHub forms it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def rows_about(name):
    """What the commands page says of a command: its row and its section, and the rows that name it among commands."""
    sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", COMMANDS_PAGE, re.MULTILINE | re.DOTALL))
    own = "".join(text for heading, text in sections.items() if name in heading.split())
    lines = [line for line in COMMANDS_PAGE.splitlines() if line.startswith("|")]
    shared = [line for line in own.splitlines() if line.count(" | ") < 2]
    for line in lines:
        cells = line.strip("| ").split(" | ")
        if cells[0].startswith(f"`ecg {name}") or (len(cells) > 2 and name in cells[1].split(", ")):
            shared.append(line)
    return "\n".join(shared)


@pytest.mark.parametrize("name", subcommands())
def test_the_commands_page_names_every_option(name):
    said = rows_about(name)
    assert f"`ecg {name}" in COMMANDS_PAGE
    assert not {option for option in options_of(subcommands()[name]) if not re.search(rf"[` ]{option}\b", said)}


def test_no_table_of_the_commands_page_is_cut_by_an_empty_line():
    blocks = COMMANDS_PAGE.split("\n\n")
    tables = [block for block in blocks if block.startswith("|")]
    assert [block for block in tables if not re.match(r"\|[^\n]*\n\|[-|]+\|\n", block)] == []


def test_the_commands_page_names_no_option_that_does_not_exist():
    known = set().union(*(options_of(parser) for parser in subcommands().values())) | {"--help"}
    assert set(re.findall(r"`(--[\w-]+)", COMMANDS_PAGE)) <= known


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(name):
    text, folder = document(name), (ROOT / name).parent
    for target in LINK.findall(text):
        assert "://" in target or (folder / target).exists(), target
    for target, anchor in ANCHOR.findall(text):
        if "://" not in target:
            linked = (folder / target).read_text(encoding="utf-8") if target else text
            assert anchor in {slug(heading) for heading in HEADING.findall(linked)}, anchor


@pytest.mark.parametrize("name", ["README.md", "docs/architecture.md"])
def test_the_steps_of_the_one_sentence_are_functions_of_the_pipeline_in_this_order(name):
    sentence = next(text for text in quoted(document(name)) if text.startswith("read_record ->"))
    steps = re.split(r"\s*->\s*", sentence)
    code = steps_of_an_analysis() + document("ecg_core/measuring.py").partition("def measure(")[2]
    places = [re.search(rf"\b{step}(_candidates)?\(", code).start() for step in steps[1 : steps.index("Analysis")]]
    assert len(places) >= 8
    assert places == sorted(places)


def test_the_drawing_of_the_packages_has_the_layers_that_are_checked():
    (drawing,) = (block for block in code_blocks(document("docs/architecture.md"), "") if "pipeline" in block)
    drawn = drawing.splitlines()[3:]
    tree = ast.parse(document("tests/test_architecture.py"))
    assigned = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    layers = [layer for layer in ast.literal_eval(assigned["FLOORS"]) if layer != {"__main__"}]
    assert [set(line[:DRAWN_WIDTH].split()) for line in drawn] == layers[::-1]


def test_the_page_on_live_streams_names_every_kind_of_alarm():
    table = document("docs/live.md").partition("## Alarms")[2].partition("\n## ")[0]
    assert set(KINDS) - set(quoted(" ".join(re.findall(r"\(`[^)]+`\)", table)))) == set()


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_files_that_a_guide_names_exist(name):
    paths = [text for text in quoted(document(name)) if re.fullmatch(r"[\w.]+(/[\w.]+)+", text)]
    guessed = {text: [ROOT / text, ROOT / "ecg_core" / text] for text in paths if "NAME" not in text}
    assert guessed
    assert not [text for text, places in guessed.items() if not any(place.exists() for place in places)]


def test_modules_that_the_guide_runs_exist():
    shell = "\n".join(code_blocks(document("CONTRIBUTING.md"), ""))
    modules = {name for name in re.findall(r"-m ([\w.]+)", shell) if name.split(".")[0] in {"models", "benchmarks"}}
    assert modules
    assert all((ROOT / name.replace(".", "/")).with_suffix(".py").is_file() for name in modules)


@pytest.mark.parametrize("weights", find_models(), ids=lambda path: path.stem)
def test_the_guide_runs_every_command_of_the_recipe_of_a_shipped_model(weights):
    shell = "\n".join(code_blocks(document("CONTRIBUTING.md"), ""))
    commands = read_spec(weights).recipe.split("; ")
    places = [shell.find(f".venv/bin/{command} ") for command in commands]
    assert -1 not in places
    assert places == sorted(places)
