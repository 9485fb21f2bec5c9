"""Runs queries on DuckDB and on plain DataFusion, over the Parquet files of a folder, for the scenario `governed`.

    python peers.py FOLDER

Reads a line of JSON, {"engine": "DuckDB" or "DataFusion", "sql": "select ..."}, and answers one: {"seconds": 0.012, "rows": 4}, or
{"error": "..."}. The time is that of planning and running, until all rows are there as columns of Arrow. Both engines run as they come, with as
many threads as there are cores.
"""
import json
import pathlib
import sys
import time

import datafusion
import duckdb


def main():
    """Answers line by line until there are no more."""
    database = duckdb.connect()
    session = datafusion.SessionContext()
    for file in sorted(pathlib.Path(sys.argv[1]).glob("*.parquet")):
        path = str(file).replace("'", "''")
        database.execute(f"create view {file.stem} as select * from read_parquet('{path}')")
        session.register_parquet(file.stem, str(file))

    def on_duckdb(sql):
        return database.sql(sql).to_arrow_table().num_rows

    def on_datafusion(sql):
        return sum(batch.num_rows for batch in session.sql(sql).collect())

    engines = {"DuckDB": on_duckdb, "DataFusion": on_datafusion}
    versions = {"DuckDB": duckdb.__version__, "DataFusion": datafusion.__version__}
    print(json.dumps({"versions": versions}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        begun = time.perf_counter()
        try:
            rows = engines[asked["engine"]](asked["sql"])
            said = {"seconds": time.perf_counter() - begun, "rows": rows}
        except Exception as error:  # Told, and judged by whoever asked.
            said = {"error": str(error)}
        print(json.dumps(said), flush=True)


main()
