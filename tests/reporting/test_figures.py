import pandas as pd
import pytest
from PIL import Image

from nml.errors import UserError
from nml.reporting.figures import TABLES_DRAWN, draw_figures, figures_of, in_figures, nothing_to_draw
from nml.reporting.labels import FIGURES
from nml.reporting.noise_figures import noise_curves
from nml.reporting.report import write_report
from nml.reporting.spectrum_figures import spectrum_decay
from nml.reporting.tables import build_tables, read_table
from nml.reporting.task_figures import fraction_curves

from .frames import averages_of


def test_every_figure_is_written_as_png_and_pdf_of_printable_size(figures_dir):
    assert {path.name for path in figures_dir.iterdir()} == {
        f"{name}.{end}" for name in FIGURES for end in ("png", "pdf")
    }
    for name in FIGURES:
        with Image.open(figures_dir / f"{name}.png") as image:
            assert round(image.info["dpi"][0]) == 200
            assert image.width >= 3.3 * 200 - 1 and image.height >= 400
            assert len(image.convert("RGB").getcolors(1 << 20)) > 50
        assert (figures_dir / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_a_rerun_gives_the_same_bytes(tables_dir, figures_dir, tmp_path):
    draw_figures(tables_dir, tmp_path)
    for path in sorted(figures_dir.iterdir()):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_released_encoders_are_in_no_figure(tables_dir):
    """They would be panels with one point."""
    drawn = {name: read_table(tables_dir, name) for name in TABLES_DRAWN}
    released = {name: table.tail(3).assign(corpus="zoo", recipe="m", noise_kind="released", noise_percent=0.0)
                for name, table in drawn.items() if "noise_kind" in table}  # fmt: skip
    for name, rows in released.items():
        both = pd.concat([drawn[name], rows], ignore_index=True)
        pd.testing.assert_frame_equal(in_figures(both), drawn[name])


def test_files_hold_no_dates_and_no_versions(figures_dir):
    for path in figures_dir.iterdir():
        assert not any(word in path.read_bytes() for word in (b"CreationDate", b"Software", b"Matplotlib"))


def test_controls_are_lines_when_near_and_words_when_far():
    rows = [
        {"noise_kind": kind, "noise_percent": percent, "task": task, "value": 0.7 - percent / 100, "n": 2000}
        for kind, percent in (("clean", 0.0), ("symmetric", 10.0))
        for task in "ab"
    ]
    controls = [
        {"noise_kind": "untrained", "value": 0.55, "n": 2000},
        {"method": "majority", "value": 0.1, "n": 2000},
    ]
    key = ("emoji", "resnet-mini", "symmetric")
    figure = noise_curves(averages_of([*rows, *controls]), {key: "a title"})
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["↓ majority class: 10.0"]
    assert any(line.get_label() == "untrained, LP" for line in axes.lines)
    assert axes.get_ylim()[0] < 55 < axes.get_ylim()[1]


def test_each_corpus_has_its_own_untrained_control():
    rows = [
        {"corpus": corpus, "noise_kind": kind, "noise_percent": percent, "value": value, "n": 2000}
        for corpus, control in (("emoji", 0.61), ("icons", 0.66))
        for kind, percent, value in (("clean", 0.0, 0.7), ("symmetric", 10.0, 0.6), ("untrained", 0.0, control))
    ]
    names = {(corpus, "resnet-mini", "symmetric"): corpus for corpus in ("emoji", "icons")}
    figure = noise_curves(averages_of(rows), names)
    levels = [line.get_ydata()[0] for axes in figure.axes for line in axes.lines if line.get_label() == "untrained, LP"]
    assert levels == pytest.approx([61, 66])


def test_the_spectrum_of_a_corpus_is_drawn_beside_its_own_control():
    shares = pd.DataFrame(
        {"corpus": corpus, "recipe": "r", "noise_kind": kind, "noise_percent": percent, "rank": rank,
         "share": share / rank, "test_sets": 1}
        for corpus, control in (("emoji", 0.3), ("icons", 0.4))
        for kind, percent, share in (("clean", 0.0, 0.5), ("symmetric", 10.0, 0.6), ("untrained", 0.0, control))
        for rank in (1, 2)
    )  # fmt: skip
    figure = spectrum_decay(shares, {(corpus, "r", "symmetric"): corpus for corpus in ("emoji", "icons")})
    dashed = [[line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"] for axes in figure.axes]
    assert dashed == [[0.3], [0.4], [], []]
    below = [[list(line.get_ydata()) for line in axes.lines] for axes in figure.axes[2:]]
    assert below == [[[1.0, 1.0], pytest.approx([1.2, 1.2])]] * 2


def test_markers_and_ticks_are_those_of_the_other_figures(tables_dir):
    drawn = figures_of({name: read_table(tables_dir, name) for name in TABLES_DRAWN})
    legend = [text.get_text() for text in drawn["run_time"]().legends[0].get_texts()]
    assert legend[-2:] == ["emoji/resnet-mini", "emoji/clip-mini"]
    assert all(list(axes.get_xticks()) == [0, 5, 10, 20, 30] for axes in drawn["per_task_curves"]().axes if axes.lines)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cells\.parquet does not exist"):
        draw_figures(tmp_path, tmp_path / "figures")


@pytest.mark.parametrize(
    ("encoder", "task", "method"),
    [("resnet-mini/clean", "task-00", "lp"), ("clip-mini/swap-5/", "emoji-noto", "mlp")],
)
def test_the_smallest_studies_are_reported(study, tmp_path, encoder, task, method):
    """One encoder, one task, one method; without controls, and without OOD or without ID and linear probing."""
    ends = (f"{task}/{method}.parquet", f"{task}.parquet", "meta.json")
    files = [
        [path for path in paths if encoder in str(path) and str(path).endswith(end)]
        for paths, end in zip(study.values(), ends, strict=True)
    ]
    assert [len(paths) for paths in files] == [1, 1, 1]
    build_tables(*files, tmp_path / "tables")
    draw_figures(tmp_path / "tables", tmp_path / "figures")
    write_report(tmp_path / "tables", tmp_path / "figures", tmp_path / "index.html", "small")
    assert len(list((tmp_path / "figures").iterdir())) == 2 * len(FIGURES)


def test_figures_without_cells_say_so(tables_dir):
    """The untrained control alone: nothing was trained, so nothing can be drawn over the noise."""
    tables = {name: read_table(tables_dir, name) for name in TABLES_DRAWN}
    untrained = {
        name: frame[frame["noise_kind"] == "untrained"] if "noise_kind" in frame else frame.iloc[:0]
        for name, frame in tables.items()
    }
    drawn = figures_of(untrained)
    assert set(drawn) == set(FIGURES) and all(draw is nothing_to_draw for draw in drawn.values())
    assert [text.get_text() for text in nothing_to_draw().texts] == ["No cells for this figure."]
    assert [name for name, draw in figures_of(tables).items() if draw is nothing_to_draw] == ["fraction_curves"]


def test_each_noise_ratio_is_a_line_over_the_fractions(tables_dir):
    averages = read_table(tables_dir, "averages")
    half = averages.assign(fraction=50, **{name: averages[name] - 0.1 for name in ("value", "low", "high")})
    key = ("emoji", "resnet-mini", "symmetric")
    figure = fraction_curves(pd.concat([averages, half], ignore_index=True), {key: "a title"})
    id_panel, ood_panel = figure.axes
    assert len(id_panel.containers) == len(ood_panel.containers) == 5
    assert list(ood_panel.get_xticks()) == [50, 100]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["0 %", "5 %", "10 %", "20 %", "30 %"]


def test_two_noise_kinds_of_a_recipe_take_a_panel_each_and_share_the_clean_encoder(tables_dir):
    averages = read_table(tables_dir, "averages")
    other = averages[averages["noise_kind"] == "symmetric"].assign(noise_kind="asymmetric")
    names = {("emoji", "resnet-mini", kind): kind for kind in ("symmetric", "asymmetric")}
    figure = noise_curves(pd.concat([averages, other], ignore_index=True), names)
    assert [axes.get_title() for axes in figure.axes] == ["symmetric", "asymmetric", "", ""]
    assert all(list(axes.get_xticks()) == [0, 5, 10, 20, 30] for axes in figure.axes)
