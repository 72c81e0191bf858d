"""Recomputes views from raw files with DuckDB, and compares them with a lake: views_oracle.py KIND DATA LAKE."""

import csv
import datetime
import pathlib
import re
import sys

import deltalake
import duckdb

kind, data, lake = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'")


def view(name):
    """A table of the lake, under its own name."""
    db.register(name, deltalake.DeltaTable(str(lake / name)).to_pyarrow_table())


def same(what, ours, theirs):
    """Both queries give the same rows, with multiplicity; and there are some."""
    count = db.sql(f"SELECT count(*) FROM ({theirs})").fetchone()[0]
    missing = db.sql(f"({theirs}) EXCEPT ALL ({ours})").fetchall()
    extra = db.sql(f"({ours}) EXCEPT ALL ({theirs})").fetchall()
    print(f"{what}: {count} rows by DuckDB, {len(missing)} missing, {len(extra)} extra")
    for label, rows in (("missing", missing), ("extra", extra)):
        for row in rows[:5]:
            print(f"  {label}: {row}")
    if missing or extra or not count:
        sys.exit(1)


VISITS = """
    WITH turns AS (
        SELECT *, lag(open) OVER w AS before FROM readings WINDOW w AS (PARTITION BY appliance ORDER BY t, seq, open)
    ), edges AS (
        SELECT * FROM turns WHERE open <> coalesce(before, 0)
    ), spans AS (
        SELECT *, lead(t) OVER (PARTITION BY appliance ORDER BY t, seq, open) AS closed FROM edges
    )
    SELECT appliance, t AS opened, closed FROM spans WHERE open = 1
"""


def doors():
    rows = []
    for path in sorted(data.glob("*.sensors")):
        names, taken = {}, set()
        for line in path.with_suffix(".sensor_names").read_text().splitlines():
            number, _, name = line.partition("\t")
            slug = re.sub(r"[^a-z0-9]+", "-", name.strip().lower()).strip("-")
            if not slug or slug in taken:
                slug = f"{slug}-{int(number)}".lstrip("-")
            taken.add(slug)
            names[int(number)] = slug
        for n, line in enumerate(path.read_text().splitlines()):
            start, length, sensor = (int(float(cell)) for cell in line.split("\t"))
            appliance = f"{path.stem}/{names.get(sensor, f'sensor-{sensor}')}"
            rows += [(appliance, start, 2 * n, 1), (appliance, start + length, 2 * n + 1, 0)]
    db.execute("CREATE TABLE readings (appliance TEXT, t BIGINT, seq BIGINT, open INT)")
    db.executemany("INSERT INTO readings VALUES (?, ?, ?, ?)", rows)
    view("visits")
    same("visits", "SELECT appliance, epoch(opened)::BIGINT, epoch(closed)::BIGINT FROM visits", VISITS)


def receipts():
    db.execute(f"""
        CREATE TABLE lines AS
        SELECT t.household_id::TEXT AS household, t.basket_id::TEXT AS basket, t.product_id::TEXT AS sku,
               t.quantity::BIGINT AS quantity, round(t.sales_value * 100)::BIGINT AS cents,
               date_trunc('week', t.transaction_timestamp)::DATE AS week, t.transaction_timestamp AS bought_at,
               p.brand AS brand,
               lower(concat_ws('/', replace(nullif(p.department, ''), '/', '-'),
                     replace(nullif(p.product_category, ''), '/', '-'),
                     replace(nullif(p.product_type, ''), '/', '-'))) AS category
        FROM read_csv('{data}/transactions.csv') t
        LEFT JOIN read_csv('{data}/products.csv', all_varchar = true) p ON p.product_id = t.product_id::TEXT
        WHERE t.quantity > 0
    """)
    view("market")
    view("market_pairs")
    levels = " UNION ALL ".join(
        f"""SELECT 'us', week, '{level}', {key}, sum(quantity)::BIGINT, 0::BIGINT, 0::BIGINT, sum(cents)::BIGINT,
                   count(DISTINCT household)::BIGINT
            FROM lines WHERE coalesce({key}, '') <> '' GROUP BY week, {key} HAVING count(DISTINCT household) >= 5"""
        for level, key in (("product", "sku"), ("brand", "brand"), ("category", "category"))
    )
    same(
        "market",
        "SELECT region, week, level, key, put_in, used_up, wasted, cents, households FROM market",
        levels,
    )
    same(
        "market_pairs",
        """SELECT week, least(first_sku, second_sku), greatest(first_sku, second_sku), together, households
           FROM market_pairs""",
        """WITH goes AS (SELECT DISTINCT household, basket, sku FROM lines),
                weeks AS (SELECT household, basket, date_trunc('week', min(bought_at))::DATE AS week FROM lines GROUP BY ALL)
           SELECT week, a.sku, b.sku, count(*), count(DISTINCT household)
           FROM goes a JOIN goes b USING (household, basket) JOIN weeks USING (household, basket)
           WHERE a.sku < b.sku GROUP BY ALL HAVING count(DISTINCT household) >= 5""",
    )


def narrations():
    take, put, open_, close, fridge = 0, 1, 2, 3, 10
    with open(data / "EPIC_descriptions.csv", newline="") as file:
        described = {}
        for row in csv.DictReader(file):
            day = row["date"]
            form = "%d/%m/%Y" if "/" in day else "%Y-%m-%d"
            described[row["video_id"]] = datetime.datetime.strptime(f"{day} {row['time']}", f"{form} %H:%M:%S")
    with open(data / "EPIC_train_action_labels.csv", newline="") as file:
        actions = list(csv.DictReader(file))
    undated = sorted({a["video_id"] for a in actions} - described.keys())
    for n, video in enumerate(undated):
        described[video] = datetime.datetime(2000, 1, 1) + datetime.timedelta(days=n)

    def micros(video, stamp):
        hours, minutes, seconds = stamp.split(":")
        whole, _, part = seconds.partition(".")
        since = (described[video] - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
        clock = (int(hours) * 60 + int(minutes)) * 60 + int(whole)
        return since + clock * 1_000_000 + int((part + "000000")[:6])

    videos = {}
    for action in actions:
        action["at"] = micros(action["video_id"], action["start_timestamp"])
        action["end"] = micros(action["video_id"], action["stop_timestamp"])
        videos.setdefault(action["video_id"], []).append(action)
    moves, swings = [], []
    for video, told in videos.items():
        told.sort(key=lambda a: (a["at"], int(a["uid"])))
        ordinal, is_open = 0, False
        for a in told:
            verb, noun, uid = int(a["verb_class"]), int(a["noun_class"]), int(a["uid"])
            household = a["participant_id"]
            if noun == fridge and verb in (open_, close):
                if is_open:
                    swings.append((household, a["at"], uid, 0))
                is_open = verb == open_
                if is_open:
                    ordinal += 1
                    swings.append((household, a["at"], uid, 1))
            elif noun != fridge and verb in (take, put) and is_open:
                moves.append((household, a["at"], f"{video}#{ordinal}", a["noun"], -1 if verb == take else 1))
        if is_open:
            swings.append((told[-1]["participant_id"], max(a["end"] for a in told), 1 << 40, 0))
    swings.sort(key=lambda s: (s[1], s[2], s[3]))
    db.execute("CREATE TABLE readings (appliance TEXT, t BIGINT, seq BIGINT, open INT)")
    db.executemany("INSERT INTO readings VALUES (?, ?, ?, ?)", [(h, t, n, o) for n, (h, t, _, o) in enumerate(swings)])
    db.execute("CREATE TABLE moves (household TEXT, moved_at BIGINT, go TEXT, sku TEXT, delta BIGINT)")
    db.executemany("INSERT INTO moves VALUES (?, ?, ?, ?, ?)", moves)
    for name in ("behaviour", "behaviour_products", "behaviour_pairs"):
        view(name)
    same(
        "behaviour",
        "SELECT household, week, openings, open_seconds, put_in, taken_out FROM behaviour",
        f"""WITH visits AS ({VISITS}), sums AS (
                SELECT appliance AS household, date_trunc('week', make_timestamp(opened))::DATE AS week, 1 AS openings,
                       coalesce((closed - opened) // 1000000, 0) AS seconds, 0 AS put_in, 0 AS taken_out FROM visits
                UNION ALL
                SELECT household, date_trunc('week', make_timestamp(moved_at))::DATE, 0, 0, greatest(delta, 0),
                       greatest(-delta, 0) FROM moves
            ) SELECT household, week, sum(openings)::BIGINT, sum(seconds)::BIGINT, sum(put_in)::BIGINT,
                     sum(taken_out)::BIGINT FROM sums GROUP BY ALL""",
    )
    same(
        "behaviour_products",
        "SELECT household, sku, put_in, taken_out, restocks, restock_seconds FROM behaviour_products",
        """SELECT household, sku, sum(greatest(delta, 0))::BIGINT, sum(greatest(-delta, 0))::BIGINT,
                  greatest(count(DISTINCT moved_at) FILTER (delta > 0) - 1, 0),
                  coalesce((max(moved_at) FILTER (delta > 0) - min(moved_at) FILTER (delta > 0)) // 1000000, 0)
           FROM moves GROUP BY ALL""",
    )
    same(
        "behaviour_pairs",
        """SELECT household, least(first_sku, second_sku), greatest(first_sku, second_sku), together
           FROM behaviour_pairs""",
        """WITH goes AS (SELECT DISTINCT household, go, sku FROM moves WHERE delta < 0)
           SELECT household, a.sku, b.sku, count(*) FROM goes a JOIN goes b USING (household, go)
           WHERE a.sku < b.sku GROUP BY ALL""",
    )


{"doors": doors, "receipts": receipts, "narrations": narrations}[kind]()
