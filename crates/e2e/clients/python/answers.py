"""What DuckDB answers to the demo's questions over the same files: one JSON array of rows for what it counts, then for each question."""
import json
import pathlib
import sys

import duckdb

data = pathlib.Path(sys.argv[1])
database = duckdb.connect()
for table in ("flights", "airlines", "airports", "weather"):
    source = f"read_csv('{data / table}.csv.zst', header=true, delim=',', quote='\"', escape='\"', nullstr=['NA', ''], sample_size=-1)"
    database.execute(f"CREATE TABLE {table} AS SELECT * FROM {source}")
# What the function refuses (functions/flights-enrich), as far as the files have it.
database.execute("""CREATE TABLE departures AS SELECT *, day BETWEEN 1 AND 31 AND distance BETWEEN 1 AND 20000
    AND regexp_full_match(dest, '[A-Z]{3}') AND (dep_time IS NULL OR dep_delay IS NOT NULL) AS is_flight FROM flights""")
database.execute("DROP TABLE flights")
database.execute("CREATE TABLE flights AS SELECT * FROM departures WHERE is_flight AND dep_time IS NOT NULL")
database.execute("CREATE TABLE cancelled AS SELECT * FROM departures WHERE is_flight AND dep_time IS NULL")
QUESTIONS = (
    """SELECT (SELECT count(*) FROM flights), (SELECT count(*) FROM cancelled), (SELECT count(*) FROM departures WHERE NOT is_flight),
              (SELECT count(*) FROM flights WHERE dep_delay > 120), (SELECT count(*) FROM flights WHERE dep_delay > 600)""",
    """SELECT a.name, count(*), round(100.0 * sum(CASE WHEN f.dep_delay > 15 THEN 1 ELSE 0 END) / count(*), 1) AS late
       FROM flights f JOIN airlines a ON a.carrier = f.carrier GROUP BY a.name ORDER BY late DESC, a.name LIMIT 5""",
    """SELECT CASE WHEN w.wind_speed < 10 THEN 'calm' WHEN w.wind_speed < 20 THEN 'windy' ELSE 'stormy' END AS wind, count(*),
              round(avg(f.dep_delay), 2)
       FROM flights f JOIN weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
       WHERE w.wind_speed IS NOT NULL GROUP BY 1 ORDER BY 1""",
    """SELECT p.name, count(*) AS cancelled FROM cancelled f JOIN airports p ON p.faa = f.dest
       GROUP BY p.name ORDER BY cancelled DESC, p.name LIMIT 5""",
    """SELECT carrier, flight, origin || '-' || dest AS route, dep_delay FROM flights WHERE dep_delay > 120
       ORDER BY dep_delay DESC, carrier, flight, route LIMIT 5""",
)
for question in QUESTIONS:
    print(json.dumps([[str(cell) for cell in row] for row in database.execute(question).fetchall()]))
