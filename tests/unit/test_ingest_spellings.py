"""What other programs call a status or an operation: each name means one thing, and the page names it."""

from orchestration.lib.settings import project_dir
from orchestration.lib.usage.record import TARGETS
from orchestration.lib.usage.spellings import SPELLINGS

PAGE = (project_dir() / "docs" / "ingestion.md").read_text()


def test_each_name_means_one_value_and_is_on_the_page() -> None:
    for target, choices in SPELLINGS.items():
        names = [name for choice, spellings in choices.items() for name in (choice, *spellings)]
        assert len(set(names)) == len(names), target
        for choice, spellings in choices.items():
            assert choice in TARGETS[target].plain
            assert f"| `{target}` | `{choice}` | " + ", ".join(f"`{name}`" for name in spellings) in PAGE
