"""The page on moving from SQL: its commands, in its order, print what it shows."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from support import Directory

pytestmark = pytest.mark.live("openldap", reason="the page says the same of all")

PAGE = Path(__file__).parents[2] / "docs" / "move-from-sql.md"
IN_THE_PAGE = "sqlite:////srv/remoteapp.db"
DATABASE = """
CREATE TABLE user (id INTEGER PRIMARY KEY, name VARCHAR);
CREATE TABLE application (id INTEGER PRIMARY KEY, image VARCHAR);
CREATE TABLE application_policy (id INTEGER PRIMARY KEY, allow_home BOOLEAN,
    allow_common BOOLEAN, allow_view BOOLEAN, volume_source VARCHAR, volume_target VARCHAR,
    volume_mode VARCHAR);
CREATE TABLE accounting (id CHAR(32) PRIMARY KEY, user_id INTEGER, application_id INTEGER,
    application_policy_id INTEGER);
INSERT INTO user VALUES (1, 'alice'), (2, 'bob'), (3, 'zoe');
INSERT INTO application VALUES (1, 'simphony/mayavi:0.5');
INSERT INTO application_policy VALUES (1, 1, 0, 0, NULL, NULL, NULL);
INSERT INTO accounting VALUES ('a', 1, 1, 1), ('b', 2, 1, 1), ('c', 3, 1, 1);
"""


@pytest.mark.lengthy
def test_the_page_on_moving_prints_what_its_commands_print(
    directory: Directory, tmp_path: Path
) -> None:
    directory.person("alice")
    directory.person("bob")
    with sqlite3.connect(tmp_path / "remoteapp.db") as connection:
        connection.executescript(DATABASE)
    connection.close()
    url = f"sqlite:///{tmp_path / 'remoteapp.db'}"
    text = PAGE.read_text(encoding="utf-8")
    kwargs = directory.database_kwargs()
    settings = {f"LDAPDB_{key.upper()}": value for key, value in kwargs.items() if value}

    def run(command: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", *command.replace(IN_THE_PAGE, url).split()],
            env={**os.environ, **settings},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, (done.stdout + done.stderr).replace(url, IN_THE_PAGE)

    blocks = re.findall(r"^```sh\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE)
    assert [each.split()[1] for each in blocks] == ["import", "import", "compare", "export"]
    plan, done, compared, exported = map(run, blocks)
    [shown] = re.findall(r"^```text\n(.*?)```$", text, re.DOTALL | re.MULTILINE)
    assert plan[0] == 1
    assert plan[1].startswith(shown)
    assert done[0] == 0
    # Who is not in the directory has nothing there.
    assert compared[0] == 1
    assert re.search("zoe.*lacks", compared[1]), compared[1]
    assert exported[0] == 0
    rights = (tmp_path / "rights.csv").read_text(encoding="utf-8").splitlines()
    assert rights[1] == "alice,simphony/mayavi:0.5,,1,0,0,,,,0"
    with sqlite3.connect(tmp_path / "remoteapp.db") as connection:
        connection.execute("DELETE FROM accounting WHERE id = 'c'")
    connection.close()
    code, said = run(blocks[2])
    assert code == 0, said
    assert "identical" in said
