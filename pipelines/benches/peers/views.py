"""The inventory and market views of `../corrections.rs`, computed by DuckDB and by Pathway.

    python views.py DIR duckdb pathway

DIR holds what the bench wrote: `sightings.csv` (appliance, visit, place, product), `products.csv` (product, brand, category), `appliances.csv`
(appliance, household, region), `changes.csv` (kind, appliance, visit, place, product, category) and `facts.json`. Prints one JSON object: the
seconds of each, and sums over the views before and after the changes, by which the bench sees that all computed the same.

Both do less than Larder: two views of eleven, and no pictures, doors, scales, scores, corrections or evidence. Visits are numbered for
them, and every item is taken to be covered by what stands in its place next, as it is in this data.

- DuckDB computes both views anew from all sightings, in SQL, on all cores.
- Pathway keeps both up to date: it is handed one relabel, or one product's category, at a time.
"""

import csv
import json
import queue
import sys
import threading
import time
from pathlib import Path

DIR = Path(sys.argv[1])
FACTS = json.loads((DIR / "facts.json").read_text())
# microseconds between visits, the number of the last, the instant of the first
STEP, LAST, START = FACTS["step"], FACTS["visits"] - 1, FACTS["start"]
SHELF_LIFE, DAY, LEAST = 10, 86_400_000_000, 5

VIEWS = f"""
CREATE OR REPLACE TEMP TABLE shown AS
    SELECT appliance, product, visit, count(*) AS n FROM sightings GROUP BY ALL;
-- what each look shows, and the two before and after it
CREATE OR REPLACE TEMP TABLE held AS
    WITH around AS (
        SELECT appliance, product, visit + o AS visit,
            coalesce(sum(n) FILTER (o = 2), 0) AS l2, coalesce(sum(n) FILTER (o = 1), 0) AS l1,
            coalesce(sum(n) FILTER (o = 0), 0) AS c, coalesce(sum(n) FILTER (o = -1), 0) AS r1,
            coalesce(sum(n) FILTER (o = -2), 0) AS r2
        FROM shown, (VALUES (-2), (-1), (0), (1), (2)) offsets(o)
        WHERE visit + o BETWEEN 0 AND {LAST} GROUP BY ALL)
    SELECT appliance, product, visit, greatest(c, least(l1, r1), least(l2, r1), least(l1, r2),
        CASE WHEN visit + 2 > {LAST} THEN l1 ELSE 0 END,
        CASE WHEN visit + 1 > {LAST} THEN c + least(l2 - c, l2 - l1) ELSE 0 END) AS h
    FROM around;
CREATE OR REPLACE TEMP TABLE moves AS
    SELECT appliance, product, visit + o AS visit, sum(CASE o WHEN 0 THEN h ELSE -h END)::BIGINT AS d
    FROM held, (VALUES (0), (1)) offsets(o) WHERE visit + o <= {LAST} GROUP BY ALL HAVING d <> 0;
CREATE OR REPLACE TEMP TABLE inventory AS
    SELECT appliance, product, sum(d)::BIGINT AS count, max(visit) AS since FROM moves GROUP BY ALL HAVING count > 0;
CREATE OR REPLACE TEMP TABLE market AS
    WITH units AS (
        SELECT appliance, product, visit, d > 0 AS put_in,
            row_number() OVER (PARTITION BY appliance, product, d > 0 ORDER BY visit) AS n
        FROM moves, unnest(range(abs(d)))),
    gone AS (
        SELECT o.appliance, o.product, o.visit, ceil((o.visit - i.visit) * {STEP} / {DAY}) > {SHELF_LIFE} AS wasted
        FROM units o LEFT JOIN units i ON (i.appliance, i.product, i.n, i.put_in) = (o.appliance, o.product, o.n, true)
        WHERE NOT o.put_in),
    rows AS (
        SELECT appliance, product, visit, greatest(d, 0) AS put_in, 0 AS used_up, 0 AS wasted, true AS reached FROM moves
        UNION ALL SELECT appliance, product, visit, 0, (NOT coalesce(wasted, false))::INT, coalesce(wasted, false)::INT, false FROM gone),
    keys AS (
        SELECT product, 0 AS level, product AS key FROM products UNION ALL SELECT product, 1, brand FROM products
        UNION ALL SELECT product, 2, category FROM products)
    SELECT region, ({START} + visit * {STEP}) // {DAY} - (({START} + visit * {STEP}) // {DAY} + 3) % 7 AS week, level, key,
        sum(put_in)::BIGINT AS put_in, sum(used_up)::BIGINT AS used_up, sum(wasted)::BIGINT AS wasted,
        count(DISTINCT household) FILTER (reached) AS households
    FROM rows JOIN keys USING (product) JOIN appliances USING (appliance) GROUP BY ALL HAVING households >= {LEAST};
"""
SUMS = """
SELECT (SELECT (count(*), sum(count)::BIGINT, sum(since)::BIGINT) FROM inventory),
    (SELECT (count(*), sum(put_in)::BIGINT, sum(used_up)::BIGINT, sum(wasted)::BIGINT, sum(households)::BIGINT) FROM market)
"""


def rows(name):
    with open(DIR / f"{name}.csv") as file:
        return list(csv.DictReader(file))


def apply(connection, change):
    if change["kind"] == "relabel":
        connection.execute(
            "UPDATE sightings SET product = ? WHERE (appliance, visit, place) = (?, ?, ?)",
            [change["product"], change["appliance"], change["visit"], change["place"]],
        )
    else:
        connection.execute("UPDATE products SET category = ? WHERE product = ?", [change["category"], change["product"]])


def duckdb_views(changes):
    import duckdb

    connection = duckdb.connect()
    # the bench holds the same data beside it
    connection.execute(f"SET memory_limit = '8GB'; SET temp_directory = '{DIR / 'spilt'}'")
    for name in ["sightings", "products", "appliances"]:
        connection.execute(f"CREATE TABLE {name} AS FROM read_csv('{DIR / name}.csv')")
    took = []

    def compute():
        started = time.perf_counter()
        connection.execute(VIEWS)
        took.append(time.perf_counter() - started)
        inventory, market = connection.execute(SUMS).fetchone()
        return [list(inventory), list(market)]

    before = compute()
    for change in changes:
        apply(connection, change)
    after = compute()
    return {"version": duckdb.__version__, "seconds": sorted(took)[0], "before": before, "after": after}


def gone(moves):
    """When packages went for good, and how many begun days after they came: first in, first out."""
    there, gone = [], []
    for visit, d in moves:
        for _ in range(abs(d)):
            if d > 0:
                there.append(visit)
            else:
                days = -(-(visit - there.pop(0)) * STEP // DAY) if there else 0
                gone.append((visit, days > SHELF_LIFE))
    return tuple(gone)


def pathway_views(changes):
    import pathway as pw

    feed = queue.Queue()
    ready = threading.Event()

    class Row(pw.Schema):
        kind: int
        a: int
        b: int
        c: int
        n: int

    class Feed(pw.io.python.ConnectorSubject):
        def run(self):
            while (batch := feed.get()) is not None:
                for kind, a, b, c, n in batch:
                    self.next(kind=kind, a=a, b=b, c=c, n=n)
                self.commit()

    # 0: an object shown (appliance, visit, product); 1: what a product counts as (product, level, key); 2: appliance, household,
    # region; 3: a mark. A row goes by one of the same with n = -1.
    all_rows = pw.io.python.read(Feed(), schema=Row, autocommit_duration_ms=None)
    low = lambda a, b: pw.if_else(a < b, a, b)
    high = lambda a, b: pw.if_else(a > b, a, b)

    t = all_rows.filter(pw.this.kind == 0)
    shown = t.groupby(t.a, t.b, t.c).reduce(appliance=t.a, visit=t.b, product=t.c, n=pw.reducers.sum(t.n))
    at = shown.filter(pw.this.n != 0).select(*pw.this, o=pw.make_tuple(-2, -1, 0, 1, 2)).flatten(pw.this.o)
    at = at.select(pw.this.appliance, pw.this.product, pw.this.o, pw.this.n, visit=pw.this.visit + pw.this.o)
    at = at.filter((pw.this.visit >= 0) & (pw.this.visit <= LAST))
    seen = lambda o: pw.reducers.sum(pw.if_else(at.o == o, at.n, 0))
    around = at.groupby(at.appliance, at.product, at.visit).reduce(
        at.appliance, at.product, at.visit, l2=seen(2), l1=seen(1), c0=seen(0), r1=seen(-1), r2=seen(-2)
    )
    this = pw.this
    held = around.select(
        this.appliance,
        this.product,
        this.visit,
        h=high(
            high(high(this.c0, low(this.l1, this.r1)), high(low(this.l2, this.r1), low(this.l1, this.r2))),
            high(
                pw.if_else(this.visit + 2 > LAST, this.l1, 0),
                pw.if_else(this.visit + 1 > LAST, this.c0 + low(this.l2 - this.c0, this.l2 - this.l1), 0),
            ),
        ),
    )
    steps = held.select(*this, o=pw.make_tuple(0, 1)).flatten(this.o)
    steps = steps.select(this.appliance, this.product, visit=this.visit + this.o, h=pw.if_else(this.o == 0, this.h, -this.h))
    steps = steps.filter(this.visit <= LAST)
    moves = steps.groupby(steps.appliance, steps.product, steps.visit).reduce(
        steps.appliance, steps.product, steps.visit, d=pw.reducers.sum(steps.h)
    )
    moves = moves.filter(this.d != 0)
    inventory = moves.groupby(moves.appliance, moves.product).reduce(
        count=pw.reducers.sum(moves.d), since=pw.reducers.max(moves.visit)
    )
    inventory = inventory.filter(this.count > 0)
    told = moves.groupby(moves.appliance, moves.product).reduce(
        moves.appliance, moves.product, moves=pw.reducers.sorted_tuple(pw.make_tuple(moves.visit, moves.d))
    )
    lines = told.select(
        this.appliance, this.product, line=pw.apply_with_type(gone, tuple[tuple[int, bool], ...], this.moves)
    ).flatten(this.line)
    lines = lines.select(this.appliance, this.product, visit=this.line[0], wasted=pw.if_else(this.line[1], 1, 0))
    changed = moves.select(
        this.appliance, this.product, this.visit, put_in=high(this.d, 0), used_up=0, wasted=0, reached=1
    ).concat_reindex(
        lines.select(
            this.appliance, this.product, this.visit, put_in=0, used_up=1 - this.wasted, wasted=this.wasted, reached=0
        )
    )
    p = all_rows.filter(this.kind == 2).select(appliance=this.a, household=this.b, region=this.c)
    changed = changed.join(p, changed.appliance == p.appliance).select(
        changed.product, changed.visit, changed.put_in, changed.used_up, changed.wasted, changed.reached, p.household, p.region
    )
    day = (START + changed.visit * STEP) // DAY
    changed = changed.select(*this, week=day - (day + 3) % 7)
    f = all_rows.filter(this.kind == 1).select(product=this.a, level=this.b, key=this.c, n=this.n)
    cells = changed.join(f, changed.product == f.product).select(
        changed.region,
        changed.week,
        f.level,
        f.key,
        changed.household,
        put_in=changed.put_in * f.n,
        used_up=changed.used_up * f.n,
        wasted=changed.wasted * f.n,
        reached=changed.reached * f.n,
    )
    homes = cells.groupby(cells.region, cells.week, cells.level, cells.key, cells.household).reduce(
        cells.region,
        cells.week,
        cells.level,
        cells.key,
        put_in=pw.reducers.sum(cells.put_in),
        used_up=pw.reducers.sum(cells.used_up),
        wasted=pw.reducers.sum(cells.wasted),
        reached=pw.reducers.sum(cells.reached),
    )
    market = homes.groupby(homes.region, homes.week, homes.level, homes.key).reduce(
        put_in=pw.reducers.sum(homes.put_in),
        used_up=pw.reducers.sum(homes.used_up),
        wasted=pw.reducers.sum(homes.wasted),
        households=pw.reducers.sum(pw.if_else(homes.reached > 0, 1, 0)),
    )
    market = market.filter(this.households >= LEAST)
    mark = all_rows.filter(this.kind == 3).reduce(n=pw.reducers.sum(this.n))
    out = inventory.select(view=0, v=this.count, w=this.since, x=0, y=0).concat_reindex(
        market.select(view=1, v=this.put_in, w=this.used_up, x=this.wasted, y=this.households),
        mark.select(view=2, v=this.n, w=0, x=0, y=0),
    )
    sums = [[0] * 5 for _ in range(3)]

    def on_change(key, row, time, is_addition):
        sign = 1 if is_addition else -1
        for n, value in enumerate([1, row["v"], row["w"], row["x"], row["y"]]):
            sums[row["view"]][n] += sign * value
        if row["view"] == 2 and is_addition:
            seen_mark.set()

    seen_mark = threading.Event()

    def on_time_end(time):
        if seen_mark.is_set():
            seen_mark.clear()
            ready.set()

    pw.io.subscribe(out, on_change=on_change, on_time_end=on_time_end)
    runner = threading.Thread(target=lambda: pw.run(monitoring_level=pw.MonitoringLevel.NONE), daemon=True)
    runner.start()

    def repair(batch):
        ready.clear()
        started = time.perf_counter()
        feed.put([*batch, (3, 0, 0, 0, 1)])
        ready.wait()
        return time.perf_counter() - started

    sightings = {(int(r["appliance"]), int(r["visit"]), int(r["place"])): int(r["product"]) for r in rows("sightings")}
    products = {int(r["product"]): (int(r["brand"]), int(r["category"])) for r in rows("products")}
    batch = [(0, appliance, visit, product, 1) for (appliance, visit, _), product in sightings.items()]
    for product, (brand, category) in products.items():
        batch += [(1, product, level, key, 1) for level, key in enumerate([product, brand, category])]
    batch += [(2, int(r["appliance"]), int(r["household"]), int(r["region"]), 1) for r in rows("appliances")]
    load = repair(batch)
    total = lambda: [sums[0][:3], sums[1][:]]
    before = total()
    took = {"relabel": [], "category": []}
    for change in changes:
        product = int(change["product"])
        if change["kind"] == "relabel":
            at_place = (int(change["appliance"]), int(change["visit"]), int(change["place"]))
            batch = [(0, *at_place[:2], sightings[at_place], -1), (0, *at_place[:2], product, 1)]
            sightings[at_place] = product
        else:
            brand, category = products[product]
            products[product] = (brand, int(change["category"]))
            batch = [(1, product, 2, category, -1), (1, product, 2, int(change["category"]), 1)]
        took[change["kind"]].append(repair(batch))
    feed.put(None)
    after = total()
    return {"version": pw.__version__, "load": load, "before": before, "after": after, **took}


def main():
    changes = rows("changes")
    found = {}
    views = {"duckdb": duckdb_views, "pathway": pathway_views}
    for name, compute in [(name, views[name]) for name in sys.argv[2:]]:
        try:
            found[name] = compute(changes)
        except ImportError as missing:
            found[name] = {"missing": str(missing)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # Pathway's threads would go on
    import os

    os._exit(0)
