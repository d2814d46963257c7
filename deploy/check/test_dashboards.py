"""Checks that alerts and dashboard ask for metrics that there are. Run by check.sh, which brings promtool."""
import json
import os
import re
import subprocess
import unittest


from source import constant, document, text

QUEUES = {name: constant("proto/src/queues.rs", name) for name in ("JOBS", "ABANDONED", "DEAD")}
PRIORITIES = {"high", "normal", "low"}
JOBS = {f"{QUEUES['JOBS']}.{priority}" for priority in PRIORITIES}

# The page follows from the code's table; tests/tests/documents.rs holds it to that.
PAGE = text("docs/METRICS.md")
# Labels by metric. Prometheus adds to each series where it was scraped, and `le` to buckets.
METRICS = {
    name: set(re.findall(r"`(\w+)`", labels)) | {"instance", "job"} | ({"le"} if shape == "histogram" else set())
    for name, shape, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| \w* \| (.*?) \|", PAGE, re.M)
}
HISTOGRAMS = {name for name in METRICS if "le" in METRICS[name]}
# Values by label, where they are few and fixed.
VALUES = {}
for label, rest in re.findall(r"^\*\*`(\w+)`\*\*(.*?)(?=^\*\*|^## |\Z)", PAGE, re.M | re.S):
    VALUES.setdefault(label, set()).update(re.findall(r"^- `(\w+)`", rest, re.M))

DASHBOARD = json.loads(text("deploy/dashboards/stylefleet.json"))
RULES = [rule for group in document("deploy/dashboards/alerts.yaml")["groups"] for rule in group["rules"]]
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
EXPRESSIONS += [rule["expr"] for rule in RULES]


def metric_of(series):
    """The metric whose series this is: a histogram has three."""
    base = re.sub(r"_(bucket|sum|count)$", "", series)
    return base if base in HISTOGRAMS else series


class Dashboards(unittest.TestCase):
    def test_the_page_about_metrics_is_read(self):
        self.assertIn("stylefleet_jobs_total", METRICS)
        self.assertIn("finished", VALUES["outcome"])
        self.assertIn("stylefleet_stage_seconds", HISTOGRAMS)

    def test_prometheus_understands_every_expression(self):
        rules = [{"record": f"expression:{number}", "expr": expr} for number, expr in enumerate(EXPRESSIONS)]
        rules = json.dumps({"groups": [{"name": "all", "rules": rules}]})
        checked = subprocess.run([os.environ["PROMTOOL"], "check", "rules", "/dev/stdin"], input=rules, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(checked.returncode, 0, checked.stdout)

    def test_metrics_labels_and_queues_are_the_codes(self):
        for expression in EXPRESSIONS:
            with self.subTest(expression):
                ours = {metric_of(series) for series in re.findall(r"\bstylefleet_\w+", expression)}
                self.assertLessEqual(ours, set(METRICS))
                if ours:
                    known = set.union(*(METRICS[name] for name in ours))
                    for names in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
                        self.assertLessEqual({name.strip() for name in names.split(",") if name}, known)
                for series, labels in re.findall(r"(\w+)\{([^}]*)\}", expression):
                    is_ours = series.startswith("stylefleet_")
                    queues, waiting = (VALUES["queue"], PRIORITIES) if is_ours else ({*JOBS, *QUEUES.values()}, JOBS)
                    for label, value in re.findall(r'\b(\w+)="([^"]*)"', labels):
                        self.assertIn(value, queues if label == "queue" else VALUES[label])
                    for pattern in re.findall(r'queue=~"([^"]*)"', labels):
                        pattern = pattern.replace("\\\\", "\\")
                        self.assertEqual({name for name in queues if re.fullmatch(pattern, name)}, waiting)

    def test_histograms_are_asked_for_by_their_series_and_counters_by_their_growth(self):
        for expression in EXPRESSIONS:
            with self.subTest(expression):
                for series in re.findall(r"\bstylefleet_\w+", expression):
                    self.assertNotIn(series, HISTOGRAMS)
                    if series.endswith("_total") or metric_of(series) != series:
                        self.assertRegex(expression, rf"\b(rate|increase)\({series}\b")

    def test_panels_lie_side_by_side(self):
        taken = set()
        for panel in DASHBOARD["panels"]:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(taken & cells, panel["title"])
            self.assertLessEqual(place["x"] + place["w"], 24)
            taken |= cells
        ids = [panel["id"] for panel in DASHBOARD["panels"]]
        self.assertEqual(len(ids), len(set(ids)))

    def test_what_is_shown_names_labels_that_remain(self):
        """A legend's labels are those that the expression sums by, if it sums."""
        for panel in DASHBOARD["panels"]:
            for target in panel["targets"]:
                kept = re.match(r"(?:\w+\([\d.]+, )?(?:sum|count|avg|max) (?:by \(([^)]*)\))?", target["expr"])
                if kept:
                    kept = {name.strip() for name in (kept[1] or "").split(",")}
                    named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                    self.assertLessEqual(named, kept, target["expr"])

    def test_every_alert_is_tried(self):
        tried = {True: set(), False: set()}
        for test in document("deploy/dashboards/alerts.test.yaml")["tests"]:
            for example in test["alert_rule_test"]:
                tried[bool(example["exp_alerts"])].add(example["alertname"])
        alerts = {rule["alert"] for rule in RULES}
        self.assertEqual(tried[True], alerts, "alerts that an example raises")
        self.assertEqual(tried[False], alerts, "alerts that an example does not raise")


if __name__ == "__main__":
    unittest.main()
