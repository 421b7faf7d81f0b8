import pytest

from nml.artifacts import write_json
from nml.errors import UserError
from nml.reporting.encoders import FIELDS, LOGGED, learning_table, pretraining_table
from nml.reporting.schema import ENCODER
from tests.reporting.conftest import make_log

META = {"address": "emoji/resnet-mini/symmetric-5/s1"} | {field: 1 for field in FIELDS} | {"objective": "supervised"}


def meta_file(path, **changes):
    write_json(path, {name: value for name, value in (META | changes).items() if value != "absent"})
    return path


def test_the_address_becomes_columns(tmp_path):
    row = pretraining_table([meta_file(tmp_path / "meta.json")]).iloc[0]
    assert (row["corpus"], row["noise_kind"], row["noise_percent"], row["pretrain_seed"]) == (
        "emoji", "symmetric", 5.0, 1,
    )  # fmt: skip


def test_only_the_untrained_control_may_lack_a_field(tmp_path):
    untrained = meta_file(tmp_path / "a.json", address="emoji/resnet-mini/untrained/s0", epochs="absent")
    assert pretraining_table([untrained])["epochs"].isna().all()
    with pytest.raises(UserError, match=r"b\.json lacks epochs"):
        pretraining_table([meta_file(tmp_path / "b.json", epochs="absent")])


def test_what_is_no_metadata_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"meta\.json"):
        pretraining_table([tmp_path / "meta.json"])
    with pytest.raises(UserError, match="symmetric"):
        pretraining_table([meta_file(tmp_path / "c.json", address="emoji/resnet-mini")])


def test_the_logs_of_trained_encoders_become_one_table(tmp_path):
    metas = [
        meta_file(tmp_path / "a/meta.json"),
        meta_file(tmp_path / "b/meta.json", address="emoji/resnet-mini/clean/s0"),
    ]
    metas.append(meta_file(tmp_path / "c/meta.json", address="emoji/resnet-mini/untrained/s0"))
    for folder in "ab":
        make_log(tmp_path / folder / "log.csv", 0.6)
    table = learning_table(metas)
    assert table["epoch"].tolist() == [1, 2, 3, 1, 2, 3]
    assert table["noise_kind"].tolist() == ["clean"] * 3 + ["symmetric"] * 3
    assert set(LOGGED) <= set(table)
    assert table["validation_accuracy"].iloc[2] == pytest.approx(0.6)


def test_a_log_that_is_missing_or_lacks_a_column_is_refused(tmp_path):
    meta = meta_file(tmp_path / "meta.json")
    with pytest.raises(UserError, match=r"log\.csv is no log of a training"):
        learning_table([meta])
    (tmp_path / "log.csv").write_text("epoch,loss\n1,2\n")
    with pytest.raises(UserError, match=r"log\.csv is no log of a training .*accuracy"):
        learning_table([meta])


def test_without_encoders_both_tables_are_empty():
    assert pretraining_table([]).empty and learning_table([]).empty
    assert list(pretraining_table([])) == [*ENCODER, "address", *FIELDS]


def test_without_a_trained_encoder_the_learning_table_is_empty(tmp_path):
    untrained = meta_file(tmp_path / "a.json", address="emoji/resnet-mini/untrained/s0")
    assert len(learning_table([untrained])) == 0
