import pytest

from nml.artifacts import write_json
from nml.errors import UserError
from nml.reporting.encoders import FIELDS, pretraining_table

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
    with pytest.raises(UserError, match="empty"):
        pretraining_table([])
    with pytest.raises(UserError, match=r"meta\.json"):
        pretraining_table([tmp_path / "meta.json"])
    with pytest.raises(UserError, match="symmetric"):
        pretraining_table([meta_file(tmp_path / "c.json", address="emoji/resnet-mini")])
