"""Runs ClickHouse (chdb) or DuckDB inside this process and answers questions on standard input.

    engine.py clickhouse|duckdb FOLDER

Each line in is a JSON object {"sql": text, "arrow": path or absent, "keep": bool}, each line out
{"ms": wall milliseconds of the statement, "rows": [[...]] when kept} or {"error": text}.
"arrow" names an Arrow stream that DuckDB sees as the table `arriving`; ClickHouse reads files
itself.
"""

import json
import os
import sys
import time


def clickhouse(folder):
    from chdb import session

    here = session.Session(os.path.join(folder, "clickhouse"))

    def run(sql, arrow, keep):
        text = here.query(sql, "JSONCompact" if keep else "CSV").bytes()
        if not keep:
            return None
        return json.loads(text)["data"] if text else []

    return run


def duckdb(folder):
    import duckdb as library

    here = library.connect(os.path.join(folder, "duck.db"))

    def run(sql, arrow, keep):
        if arrow:
            import pyarrow

            file = pyarrow.memory_map(arrow)
            here.register("arriving", pyarrow.ipc.open_stream(file))
        found = here.execute(sql).fetchall()
        return [list(row) for row in found] if keep else None

    return run


def main():
    engine, folder = sys.argv[1:3]
    # What libraries print must not get between the answers.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run = {"clickhouse": clickhouse, "duckdb": duckdb}[engine](folder)
    print(json.dumps({"ms": 0.0}), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        start = time.perf_counter()
        try:
            rows = run(asked["sql"], asked.get("arrow"), asked.get("keep", False))
            answer = {"ms": (time.perf_counter() - start) * 1e3}
            if rows is not None:
                answer["rows"] = rows
        except Exception as error:
            answer = {"error": str(error)[:2000]}
        print(json.dumps(answer, default=str), file=out, flush=True)


main()
