from __future__ import annotations

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.download.known_sets import KNOWN_SETS
from terrain_training.download.source import Kind, parse_source

LUNAR = "romainpessia/artificial-lunar-rocky-landscape-dataset"
GDRIVE_ID = "1AbCdEfGhIjKlMnOpQrStUvWxYz012345"


class TestAddresses:
    @pytest.mark.parametrize(
        ("text", "kind", "value"),
        [
            (f"kaggle:{LUNAR}", Kind.KAGGLE, LUNAR),
            (f"https://www.kaggle.com/datasets/{LUNAR}", Kind.KAGGLE, LUNAR),
            (f"https://kaggle.com/datasets/{LUNAR}/data?select=x", Kind.KAGGLE, LUNAR),
            (f"kaggle.com/datasets/{LUNAR}/", Kind.KAGGLE, LUNAR),
            (f"https://www.kaggle.com/datasets/{LUNAR}/versions/5", Kind.KAGGLE, f"{LUNAR}/5"),
            (f"gdrive:{GDRIVE_ID}", Kind.GDRIVE, GDRIVE_ID),
            (
                f"https://drive.google.com/file/d/{GDRIVE_ID}/view?usp=sharing",
                Kind.GDRIVE,
                GDRIVE_ID,
            ),
            (f"https://drive.google.com/open?id={GDRIVE_ID}", Kind.GDRIVE, GDRIVE_ID),
            (f"drive.google.com/uc?export=download&id={GDRIVE_ID}", Kind.GDRIVE, GDRIVE_ID),
            ("https://example.org/set.zip", Kind.WEB, "https://example.org/set.zip"),
        ],
    )
    def test_every_form_is_understood(self, text, kind, value):
        source = parse_source(text)
        assert (source.kind, source.value) == (kind, value)

    def test_a_file_is_understood(self, tmp_path):
        path = tmp_path / "set.zip"
        path.write_bytes(b"")
        assert parse_source(str(path)).kind is Kind.FILE

    @pytest.mark.parametrize("name", sorted(KNOWN_SETS))
    def test_a_short_name_is_its_address(self, name):
        source = parse_source(name)
        assert source.known is KNOWN_SETS[name]
        assert parse_source(source.page).value == source.value

    @pytest.mark.parametrize(
        "text",
        [
            "moon",
            "kaggle:justone",
            "kaggle:../../etc",
            "gdrive:short",
            "https://www.kaggle.com/competitions/x",
            f"https://drive.google.com/drive/folders/{GDRIVE_ID}",
            "missing/set.zip",
        ],
    )
    def test_what_is_not_understood_lists_forms_and_names(self, text):
        with pytest.raises(
            ConfigError, match=r"kaggle:OWNER/NAME.*known short names: earth, lunar"
        ):
            parse_source(text)

    def test_a_password_is_refused_and_not_repeated(self):
        with pytest.raises(ConfigError, match="password") as caught:
            parse_source("https://me:secret@example.org/set.zip")
        assert "secret" not in str(caught.value)
