"""A sample of the demo's files, perturbed by a seed: perturb.py FROM TO SEED. Rows are dropped, doubled and shuffled; values are changed, cleared,
set to what the questions' bounds are, and to what the function refuses."""
import csv
import io
import pathlib
import random
import sys

import zstandard

source, target, seed = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
MISSING = "NA"


def read(name):
    with zstandard.open(source / f"{name}.csv.zst", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(name, rows, keep, double):
    kept = [row for row in rows if chance.random() < keep]
    kept += [row for row in kept if chance.random() < double]
    chance.shuffle(kept)
    text = io.StringIO(newline="")
    lines = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    lines.writeheader()
    lines.writerows(kept)
    (target / f"{name}.csv.zst").write_bytes(zstandard.compress(text.getvalue().encode()))


def refuse(row):
    """Makes a flight one that is none."""
    field, value = chance.choice([("day", "32"), ("distance", "0"), ("dest", row["dest"].lower()), ("dep_delay", MISSING)])
    row[field] = value


airlines, airports, weather, flights = map(read, ("airlines", "airports", "weather", "flights"))
carriers = [row["carrier"] for row in airlines] + ["ZZ"]
destinations = [row["faa"] for row in airports if row["faa"].isalpha() and row["faa"].isupper()]
hours = [row["time_hour"] for row in weather]
for row in chance.sample(airlines, 2):
    row["name"] = f'"{row["name"]}", formerly, Größe {chance.randrange(100)}'
for row in airports:
    if chance.random() < 0.2:
        row["name"] = f'{row["name"]}, "{chance.randrange(1000)}"'
for row in weather:
    if chance.random() < 0.3:
        row["wind_speed"] = chance.choice([MISSING, "10", "20", "0", str(round(chance.uniform(0, 40), 2))])
for row in flights:
    change = chance.random()
    if row["dep_time"] != MISSING and change < 0.1:
        row["dep_delay"] = str(chance.choice([15, 16, 120, 121, 600, 601, chance.randint(-40, 1500)]))
    elif change < 0.13:
        row["dep_time"] = row["dep_delay"] = row["arr_time"] = row["arr_delay"] = row["air_time"] = MISSING
    elif change < 0.16:
        row["carrier"] = chance.choice(carriers)
    elif change < 0.19:
        row["dest"] = chance.choice(destinations)
    elif change < 0.22:
        row["time_hour"] = chance.choice(hours)
    elif change < 0.23:
        refuse(row)
write("airlines", airlines, 0.9, 0.1)
write("airports", airports, 0.9, 0.05)
write("weather", weather, 0.9, 0.02)
write("flights", flights, 0.25, 0.05)
