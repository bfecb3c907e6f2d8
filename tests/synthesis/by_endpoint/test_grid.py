from divsyn_jax.synthesis.by_endpoint.grid import Grid
from divsyn_jax.synthesis.seeds import built_in_personas, built_in_topics, read_topics
from tests.conftest import write_jsonl


def grid(**changes):
    axes = {
        "topics": built_in_topics(5),
        "styles": ["letter", "how-to"],
        "personas": built_in_personas(8),
    }
    sizes = {"topics_per_document": 2, "personas_shown": 3, "generations": 1, "seed": 0}
    return Grid(**{**axes, "models": ["a", "b"], **sizes, **changes})


def test_cells_cover_the_grid_once_and_keep_their_names_in_a_wider_one():
    cells = list(grid().cells())
    assert len(cells) == len(grid()) == 5 * 2 * 3 * 2
    assert len({cell.name for cell in cells}) == len(cells)
    assert all(len(set(cell.topics)) == 2 for cell in cells)
    assert sorted(persona for panel in grid().panels for persona in panel) == sorted(
        built_in_personas(8)
    )
    alone = {cell.name for cell in grid(personas_shown=1).cells()}
    assert alone < {
        cell.name for cell in grid(personas_shown=1, personas=built_in_personas(9)).cells()
    }
    templates = [
        grid().template,
        grid(topics_per_document=1).template,
        grid(topics_per_document=1, personas=[]).template,
        grid(topics_per_document=1, personas=[], styles=["letter"]).template,
    ]
    assert templates == [
        "multi_topic_styles_persona",
        "topic_styles_persona",
        "topic_styles",
        "topic",
    ]


def test_topics_of_text_and_of_json_lines(tmp_path):
    (tmp_path / "t.txt").write_text("tides\n\nbee  keeping\n")
    assert [topic.name for topic in read_topics(tmp_path / "t.txt")] == ["tides", "bee keeping"]
    write_jsonl(
        tmp_path / "t.jsonl", ["x"], topic="tides", subtopic="spring tides", keywords=["moon"]
    )
    (topic,) = read_topics(tmp_path / "t.jsonl")
    assert topic.describe() == "topic: tides\nsubtopic: spring tides\nkeywords: moon"
