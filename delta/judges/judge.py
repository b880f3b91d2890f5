"""Another engine that reads and writes Delta tables, asked line by line.

    judge.py spark JARS-FOLDER | deltalake | duckdb

Each line of standard input is a JSON object: {"read": TABLE, "version": N or
null} answers with the rows as lists of texts; {"sql": TEXT} (spark only) runs
statements that a semicolon at a line's end divides. Each answer is one line.
Values as texts: null is "null", times are microseconds, days days, doubles
hexadecimal, bytes hexadecimal, so that every engine must say the same.
"""

import datetime
import decimal
import glob
import json
import sys

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def text(value):
    if value is None or isinstance(value, float) and value != value:
        return "null"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return str((value - EPOCH) // datetime.timedelta(microseconds=1))
    if isinstance(value, datetime.date):
        return str((value - EPOCH.date()).days)
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    return str(value)


def spark(jars):
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.jars", ",".join(glob.glob(jars + "/*.jar")))
    for key, value in {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()

    def read(table, version):
        reader = session.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        frame = reader.load(table)
        return frame.columns, frame.collect()

    def run(statements):
        for statement in statements.split(";\n"):
            if statement.strip():
                session.sql(statement)

    return read, run


def deltalake(through=None):
    from deltalake import DeltaTable

    def read(table, version):
        rows = DeltaTable(table, version=version).to_pyarrow_table()
        return rows.column_names, zip(*[rows.column(name).to_pylist() for name in rows.column_names])

    return read, None


def duckdb():
    import duckdb as engine
    from deltalake import DeltaTable

    def read(table, version):
        t = DeltaTable(table, version=version).to_pyarrow_dataset()
        connection = engine.connect()
        connection.execute("set timezone = 'UTC'")
        rows = connection.execute("select * from t").to_arrow_table()
        return rows.column_names, zip(*[rows.column(name).to_pylist() for name in rows.column_names])

    return read, None


def main():
    read, run = {"spark": spark, "deltalake": deltalake, "duckdb": duckdb}[sys.argv[1]](*sys.argv[2:])
    for line in sys.stdin:
        task = json.loads(line)
        try:
            if "sql" in task:
                run(task["sql"])
                answer = {}
            else:
                names, rows = read(task["read"], task.get("version"))
                answer = {"columns": list(names), "rows": [[text(value) for value in row] for row in rows]}
        except Exception as error:  # whatever it is, the test says it
            answer = {"error": f"{type(error).__name__}: {error}"[:4000]}
        print(json.dumps(answer), flush=True)


main()
