"""The threat model agrees with the code: its tests exist, and the settings are those that it describes."""

import base64
import hashlib
import re
import tomllib

from support.documents import ROOT, document, existing_tests, named_tests, quoted

from ecg_core.records import archives
from pages._ui.protection import content_policy

TEXT = document("docs/threat-model.md")


def test_every_test_that_the_threat_model_names_exists():
    named = named_tests(TEXT)
    assert len(named) > 20
    assert named <= existing_tests(), named - existing_tests()


def test_every_test_lies_where_the_threat_model_says():
    files = {text.partition("::")[0] for text in quoted(TEXT) if re.match(r"[\w/]*test_\w+\.py", text)}
    assert {name for name in files if not (ROOT / "tests" / name).is_file()} == set()


def test_the_server_is_for_this_computer_alone():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    server = settings["server"]
    assert server["address"] == "localhost"
    assert set(server["allowedHosts"]) == {"localhost", "127.0.0.1"}
    assert server["enableCORS"] is True
    assert server["enableXsrfProtection"] is True
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["client"]["showErrorDetails"] == "none"


def test_the_ways_around_the_dashboard_are_closed():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    for name in ("enableAgentApi", "enableStaticServing", "scriptHealthCheckEnabled"):
        assert settings["server"][name] is False
    assert settings["client"]["allowedOrigins"] == []


def test_scripts_of_the_page_that_loads_the_dashboard_are_known_by_their_hash():
    script = base64.b64encode(hashlib.sha256(b"a = 1").digest()).decode()
    policy = content_policy("<head><script>a = 1</script><script src='x.js'></script></head>")
    assert policy.startswith(f"script-src 'self' blob: 'sha256-{script}'; default-src 'self'; ")
    assert "'unsafe-inline'" not in policy.split(";")[0]


def test_the_limits_of_archives_are_the_documented_ones():
    assert (archives.MAX_FILES, archives.MAX_BYTES, archives.MAX_EXPANSION) == (1_000, 4 << 30, 200)
    assert "at most 1,000 files, 4 GiB and 200 times" in TEXT
