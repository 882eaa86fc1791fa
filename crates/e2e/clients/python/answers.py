"""What DuckDB answers to the demo's questions over the same files: one JSON array of rows for each question."""
import json
import pathlib
import sys

import duckdb

data = pathlib.Path(sys.argv[1])
database = duckdb.connect()
for table in ("flights", "airlines", "airports", "weather"):
    database.execute(f"CREATE TABLE {table} AS SELECT * FROM read_csv('{data / table}.csv.zst', header=true, nullstr=['NA', ''])")
QUESTIONS = (
    """SELECT a.name, count(*), round(100.0 * sum(CASE WHEN f.dep_delay > 15 THEN 1 ELSE 0 END) / count(*), 1) AS late
       FROM flights f JOIN airlines a ON a.carrier = f.carrier WHERE f.dep_time IS NOT NULL GROUP BY a.name ORDER BY late DESC, a.name LIMIT 5""",
    """SELECT CASE WHEN w.wind_speed < 10 THEN 'calm' WHEN w.wind_speed < 20 THEN 'windy' ELSE 'stormy' END AS wind, count(*),
              round(avg(f.dep_delay), 2)
       FROM flights f JOIN weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
       WHERE f.dep_time IS NOT NULL AND w.wind_speed IS NOT NULL GROUP BY 1 ORDER BY 1""",
    """SELECT p.name, count(*) AS cancelled FROM flights f JOIN airports p ON p.faa = f.dest
       WHERE f.dep_time IS NULL GROUP BY p.name ORDER BY cancelled DESC, p.name LIMIT 5""",
    """SELECT carrier, flight, origin || '-' || dest, dep_delay FROM flights WHERE dep_delay > 120
       ORDER BY dep_delay DESC, carrier, flight LIMIT 5""",
)
for question in QUESTIONS:
    print(json.dumps([[str(cell) for cell in row] for row in database.execute(question).fetchall()]))
