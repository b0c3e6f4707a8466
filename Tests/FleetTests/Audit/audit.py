#!/usr/bin/env python3
"""Computes every figure of an export again, and compares each cell.

Written from docs/datasets.md and the tables of the vaults alone. It shares nothing with the SQL that makes the export: it
reads plain dumps of the vaults, adds up with `decimal`, and stops where a result would have to be rounded. Python 3.9 and
its standard library suffice.

    audit.py dump FOLDER
        writes each vault table of the database that psql's environment names (PGHOST, PGDATABASE, ...) to FOLDER

    audit.py check --dumps FOLDER --date 2026-01-15 --manifest out/.../dt=2026-01-15/latest.json
        checks manifests and files, computes all datasets from the dumps, compares

Exit code 0: every cell agrees. 1: something does not; the first differences of each dataset are shown. 2: something could
not be read.
"""

import argparse
import datetime
import decimal
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import urllib.parse
import zoneinfo
from collections import defaultdict, namedtuple
from decimal import Decimal

# Money is never rounded: an operation that would have to is an error.
decimal.getcontext().traps[decimal.Inexact] = True

TABLES = {
    "datalake_vault": [
        "hub_customer", "sat_customer", "hub_account", "link_account_customer", "sat_account", "hub_contract",
        "hub_charge", "link_charge", "sat_charge", "hub_payment", "link_payment_account", "sat_payment",
        "hub_write_off", "link_write_off_account", "sat_write_off",
    ],
    "dunning_vault": ["hub_dunning_case", "link_dunning_case_account", "sat_dunning_case", "sat_dunning_block"],
    "bookkeeper_vault": [
        "hub_business_partner", "hub_document", "link_document_partner", "sat_document", "msat_document_line",
        "msat_journal_line", "msat_tax_line",
    ],
}
GHOST = "\\x" + "00" * 16
ZERO = Decimal("0.00")
SHOWN = 10  # differences of one dataset that are shown


class Problems:
    """What does not agree."""

    def __init__(self):
        self.count = 0
        self._shown = defaultdict(int)

    def add(self, subject, text):
        self.count += 1
        self._shown[subject] += 1
        if self._shown[subject] <= SHOWN:
            print(f"DIFFERENCE {subject}: {text}")

    def end(self):
        for subject, count in self._shown.items():
            if count > SHOWN:
                print(f"DIFFERENCE {subject}: and {count - SHOWN} more")


# ---- files -----------------------------------------------------------------------------------------------------------


def csv_rows(text):
    """The rows of PostgreSQL's CSV, as lists: NULL is None, empty text is ''."""
    rows = []
    lines = iter(text.split("\n"))
    for line in lines:
        if '"' not in line:
            rows.append([field or None for field in line.split(",")])
            continue
        # An odd number of quotes: a line break within quotes, the row goes on.
        while line.count('"') % 2:
            line += "\n" + next(lines)
        row, at = [], 0
        while at <= len(line):
            if line[at : at + 1] == '"':
                end = at + 1
                while line[end] != '"' or line[end + 1 : end + 2] == '"':
                    end += 1 if line[end] != '"' else 2
                row.append(line[at + 1 : end].replace('""', '"'))
                if line[end + 1 : end + 2] not in ("", ","):
                    raise ValueError(f"text after a closing quote: {line[:80]!r}")
                at = end + 2
            else:
                end = line.find(",", at)
                end = len(line) if end < 0 else end
                row.append(line[at:end] or None)
                at = end + 1
        rows.append(row)
    if rows.pop() != [None]:
        raise ValueError("the last line has no line feed")
    return rows


def file_name(schema, table):
    return f"{schema}.{table}.csv"


def dump(folder):
    """Every table by psql, all in one transaction; timestamps in UTC, bytea as hex."""
    os.makedirs(folder, exist_ok=True)
    commands = ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"]
    commands += ["SET TIME ZONE 'UTC'; SET datestyle = 'ISO'; SET bytea_output = 'hex';"]
    for schema, tables in TABLES.items():
        for table in tables:
            path = os.path.join(folder, file_name(schema, table)).replace("'", "''")
            commands.append(f"\\copy (SELECT * FROM {schema}.{table}) TO '{path}' (FORMAT csv, HEADER, ENCODING 'UTF8')")
    subprocess.run(
        ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-"],
        input="\n".join(commands + ["COMMIT;", ""]), encoding="utf-8", check=True)


def instant(text):
    """A timestamp of a dump as text of one width, so that texts compare as instants do."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\+00", text)
    if not match:
        raise ValueError(f"'{text}' is no timestamp in UTC")
    return f"{match[1]}.{(match[2] or '').ljust(6, '0')}"


def cutoff_of(date, time, zone):
    """The cut-off: a local time of the day after the business date."""
    day = datetime.date.fromisoformat(date) + datetime.timedelta(days=1)
    local = datetime.datetime.combine(day, datetime.time.fromisoformat(time), zoneinfo.ZoneInfo(zone))
    return local.astimezone(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")


# ---- vaults ----------------------------------------------------------------------------------------------------------


class Vault:
    """What was known at the cut-off."""

    NUMBERS = {
        "tax_rate", "amount_net", "amount_tax", "amount_gross", "amount", "amount_dunned", "fee", "net_amount",
        "tax_amount",
    }
    INTEGERS = {"fiscal_year", "line_no", "dunning_level"}

    def __init__(self, folder, cutoff):
        self.folder = folder
        self.cutoff = cutoff

    def known(self, name):
        """Rows of a table loaded up to the cut-off."""
        schema, table = name.split(".")
        with open(os.path.join(self.folder, file_name(schema, table)), encoding="utf-8", newline="") as file:
            header, *rows = csv_rows(file.read())
        Row = namedtuple(table, header)
        loaded = header.index("load_dts")
        money = [place for place, column in enumerate(header) if column in self.NUMBERS]
        integers = [place for place, column in enumerate(header) if column in self.INTEGERS]
        known = []
        for row in rows:
            row[loaded] = instant(row[loaded])
            if row[loaded] > self.cutoff:
                continue
            for place in money:
                row[place] = Decimal(row[place])
            for place in integers:
                row[place] = int(row[place])
            known.append(Row._make(row))
        return known

    def hub(self, name, key):
        """The hub's rows by hash key."""
        return self._unique(name, key)

    def link(self, name, key):
        """A link's rows by the hash key of one end, of which each has one link only."""
        return self._unique(name, key)

    def _unique(self, name, key):
        rows = {}
        for row in self.known(name):
            if rows.setdefault(getattr(row, key), row) is not row:
                raise ValueError(f"{name} has two rows of {key} {getattr(row, key)}")
        return rows

    def versions(self, name, key):
        """A satellite's newest row of each key."""
        newest = {}
        for row in self.known(name):
            before = newest.get(getattr(row, key))
            if before is None or before.load_dts < row.load_dts:
                newest[getattr(row, key)] = row
        return newest

    def sets(self, name, key):
        """A multi-active satellite's newest set of rows of each key."""
        newest = {}
        for row in self.known(name):
            before = newest.get(getattr(row, key))
            if before is None or before[0].load_dts < row.load_dts:
                newest[getattr(row, key)] = [row]
            elif before[0].load_dts == row.load_dts:
                before.append(row)
        return newest


# ---- datasets, as docs/datasets.md says ------------------------------------------------------------------------------


class Expected:
    """All datasets of a business date. A row is a dictionary by column."""

    def __init__(self, vault, date):
        self.date = date
        self.vault = vault
        self.customers = vault.hub("datalake_vault.hub_customer", "customer_hk")
        self.accounts = vault.hub("datalake_vault.hub_account", "account_hk")
        self.customer_of_account = {
            hk: self.customers[link.customer_hk].customer_no
            for hk, link in vault.link("datalake_vault.link_account_customer", "account_hk").items()
            if hk in self.accounts and link.customer_hk in self.customers
        }
        self.charges = self._charges()
        self.write_offs = self._write_offs()
        self.balances = self._balances()
        self.dunning = self._dunning()
        self._read_documents()
        self.bookings = self._bookings()
        self.journal_entries = self._journal_entries()
        self.taxes = self._taxes()
        self.oibl = self._oibl()
        self.datasets = {
            "tripica.charges": self.charges,
            "tripica.balances": self.balances,
            "tripica.dunning": self.dunning,
            "tripica.write_offs": self.write_offs,
            "bookkeeper.bookings": self.bookings,
            "bookkeeper.journal_entries": self.journal_entries,
            "bookkeeper.taxes": self.taxes,
            "oibl.customer": self.oibl,
        }

    def _row(self, version, **others):
        """A row with all columns of a version, and what else there is to say."""
        return {**version._asdict(), "business_date": self.date, "loaded_at_utc": version.load_dts, **others}

    def _of_account(self, account_hk):
        """Columns of an account and its customer; None where either is not known."""
        if account_hk not in self.customer_of_account:
            return None
        return {
            "account_no": self.accounts[account_hk].account_no,
            "customer_no": self.customer_of_account[account_hk],
        }

    def _charges(self):
        hub = self.vault.hub("datalake_vault.hub_charge", "charge_hk")
        links = self.vault.link("datalake_vault.link_charge", "charge_hk")
        contracts = self.vault.hub("datalake_vault.hub_contract", "contract_hk")
        rows = []
        for hk, version in self.vault.versions("datalake_vault.sat_charge", "charge_hk").items():
            if version.document_date > self.date or hk not in hub or hk not in links:
                continue
            owner, contract = self._of_account(links[hk].account_hk), contracts.get(links[hk].contract_hk)
            if owner and contract:
                rows.append(
                    self._row(version, charge_no=hub[hk].charge_no, contract_no=contract.contract_no, **owner))
        return rows

    def _of_accounts(self, hub_name, link_name, satellite, key):
        """Versions of what hangs on an account: hub, version, owner."""
        hub = self.vault.hub(hub_name, key)
        links = self.vault.link(link_name, key)
        for hk, version in self.vault.versions(satellite, key).items():
            owner = self._of_account(links[hk].account_hk) if hk in hub and hk in links else None
            if owner:
                yield hub[hk], version, owner

    def _write_offs(self):
        return [
            self._row(version, write_off_no=hub.write_off_no, **owner)
            for hub, version, owner in self._of_accounts(
                "datalake_vault.hub_write_off", "datalake_vault.link_write_off_account",
                "datalake_vault.sat_write_off", "write_off_hk")
            if version.write_off_date <= self.date
        ]

    def _dunning(self):
        blocks = self.vault.versions("dunning_vault.sat_dunning_block", "dunning_case_hk")
        rows = []
        for hub, version, owner in self._of_accounts(
            "dunning_vault.hub_dunning_case", "dunning_vault.link_dunning_case_account",
            "dunning_vault.sat_dunning_case", "dunning_case_hk"
        ):
            if version.level_date > self.date:
                continue
            block = blocks.get(hub.dunning_case_hk)
            is_blocked = (
                block is not None
                and block.blocked_from <= self.date
                and (block.blocked_until is None or block.blocked_until >= self.date)
            )
            rows.append(
                self._row(
                    version, case_no=hub.case_no, is_blocked=is_blocked,
                    block_reason=block.block_reason if is_blocked else None,
                    blocked_from=block.blocked_from if is_blocked else None,
                    blocked_until=block.blocked_until if is_blocked else None, **owner))
        return rows

    def _balances(self):
        charges = defaultdict(list)
        for row in self.charges:
            charges[row["account_no"]].append(row)
        paid = defaultdict(lambda: ZERO)
        for _, version, owner in self._of_accounts(
            "datalake_vault.hub_payment", "datalake_vault.link_payment_account", "datalake_vault.sat_payment",
            "payment_hk"
        ):
            if version.value_date <= self.date and version.status == "received":
                paid[owner["account_no"]] += version.amount
        written_off = defaultdict(lambda: ZERO)
        for row in self.write_offs:
            if row["status"] == "booked":
                written_off[row["account_no"]] += row["amount"]

        rows = []
        for hk, version in self.vault.versions("datalake_vault.sat_account", "account_hk").items():
            owner = self._of_account(hk)
            if not owner:
                continue
            account_no = owner["account_no"]
            own = charges[account_no]
            charged = sum((row["amount_gross"] for row in own), ZERO)
            settlements = paid[account_no] + written_off[account_no]
            rows.append({
                **owner, "business_date": self.date, "currency": version.currency, "charged": charged,
                "paid": paid[account_no], "written_off": written_off[account_no],
                "open_amount": charged - settlements, **self._ages(own, settlements),
            })
        return rows

    def _ages(self, charges, settlements):
        """How old is what is owed on an account with these charges, of which `settlements` was paid or written off."""
        due_dates = {row["charge_no"]: row["due_date"] for row in charges if row["cancels_charge_no"] is None}
        amounts, alone = defaultdict(lambda: ZERO), defaultdict(list)
        for row in charges:
            item = row["charge_no"] if row["cancels_charge_no"] is None else row["cancels_charge_no"]
            amounts[item] += row["amount_gross"]
            if item not in due_dates:
                alone[item].append(row["due_date"])
        for item, dates in alone.items():
            due_dates[item] = min(dates)

        debts = sorted((due_dates[item], amount) for item, amount in amounts.items() if amount > 0)
        left = settlements - sum((amount for amount in amounts.values() if amount < 0), ZERO)
        if left < 0:
            # More was paid out than there was: owed back at once.
            debts.append((self.date, -left))
            left = ZERO
        ages = dict.fromkeys(
            ["not_due", "overdue", "overdue_0_30", "overdue_31_60", "overdue_61_90", "overdue_over_90"], ZERO)
        oldest = None
        for due_date, amount in debts:
            settled = min(left, amount)
            left -= settled
            rest = amount - settled
            if rest == 0:
                continue
            oldest = min(oldest or due_date, due_date)
            if due_date > self.date:
                ages["not_due"] += rest
                continue
            ages["overdue"] += rest
            days = (datetime.date.fromisoformat(self.date) - datetime.date.fromisoformat(due_date)).days
            if days <= 30:
                ages["overdue_0_30"] += rest
            elif days <= 60:
                ages["overdue_31_60"] += rest
            elif days <= 90:
                ages["overdue_61_90"] += rest
            else:
                ages["overdue_over_90"] += rest
        return {**ages, "credit": left, "oldest_due_date": oldest}

    def _read_documents(self):
        """SAP's documents: number, version, partner (None: the ghost)."""
        self.partners = self.vault.hub("bookkeeper_vault.hub_business_partner", "partner_hk")
        hub = self.vault.hub("bookkeeper_vault.hub_document", "document_hk")
        links = self.vault.link("bookkeeper_vault.link_document_partner", "document_hk")
        self.documents = {}
        for hk, version in self.vault.versions("bookkeeper_vault.sat_document", "document_hk").items():
            if hk not in hub or hk not in links:
                continue
            partner_hk = links[hk].partner_hk
            if partner_hk == GHOST:
                self.documents[hk] = (hub[hk], version, None)
            elif partner_hk in self.partners:
                self.documents[hk] = (hub[hk], version, self.partners[partner_hk].partner_no)

    def _lines(self, satellite, is_posted=None):
        """Rows of the sets of lines of documents posted by the business date, or as said."""
        is_posted = is_posted or (lambda date: date <= self.date)
        sets = self.vault.sets(satellite, "document_hk")
        for hk, (hub, version, customer_no) in self.documents.items():
            for line in sets.get(hk, []) if is_posted(version.posting_date) else []:
                yield line, {**self._row(version), **hub._asdict(), **self._row(line), "customer_no": customer_no}

    def _bookings(self):
        return [
            row for _, row in self._lines("bookkeeper_vault.msat_document_line") if row["customer_no"] is not None]

    def _journal_entries(self):
        return [
            {
                **row, "debit": line.amount if line.debit_credit == "S" else ZERO,
                "credit": line.amount if line.debit_credit == "H" else ZERO,
            }
            for line, row in self._lines("bookkeeper_vault.msat_journal_line")
        ]

    def _taxes(self):
        return [row for _, row in self._lines("bookkeeper_vault.msat_tax_line")]

    SUMS = [
        "charged", "paid", "written_off", "open_amount", "not_due", "overdue", "overdue_0_30", "overdue_31_60",
        "overdue_61_90", "overdue_over_90", "credit",
    ]
    REASONS = ["not_booked", "booked_later", "not_charged", "amount_differs"]

    def _oibl(self):
        versions = self.vault.versions("datalake_vault.sat_customer", "customer_hk")
        names = {hub.customer_no: versions[hk] for hk, hub in self.customers.items() if hk in versions}
        accounts, cases, bookings = defaultdict(list), defaultdict(list), defaultdict(list)
        for row in self.balances:
            accounts[row["customer_no"]].append(row)
        for row in self.dunning:
            if row["status"] == "open":
                cases[row["customer_no"]].append(row)
        for row in self.bookings:
            bookings[row["customer_no"]].append(row)
        reasons, counts = self._reasons()

        rows = []
        for customer_no in sorted(set(names) | {hub.partner_no for hub in self.partners.values()}):
            version = names.get(customer_no)
            row = {
                "customer_no": customer_no, "business_date": self.date,
                "customer_name": version and version.customer_name, "segment": version and version.segment,
                "accounts": len(accounts[customer_no]),
                "open_dunning_cases": len(cases[customer_no]),
                "highest_dunning_level": max((case["dunning_level"] for case in cases[customer_no]), default=0),
                "dunning_fees": sum((case["fee"] for case in cases[customer_no]), ZERO),
                "booked": sum((line["amount"] for line in bookings[customer_no]), ZERO),
            }
            for name in self.SUMS:
                row[name] = sum((account[name] for account in accounts[customer_no]), ZERO)
            row["difference"] = row["charged"] - row["booked"]
            found = [name for name in self.REASONS if counts[customer_no, name]]
            for name in self.REASONS:
                row[name] = reasons[customer_no, name]
            row["difference_reason"] = "none" if not found else found[0] if len(found) == 1 else "several"
            currencies = [other["currency"] for other in accounts[customer_no] + bookings[customer_no]]
            row["currency"] = currencies[0] if currencies else "EUR"
            rows.append(row)
        return rows

    def _reasons(self):
        """By customer and reason: the sum, and how many documents have it."""
        charged, booked = defaultdict(lambda: ZERO), defaultdict(lambda: ZERO)
        for row in self.charges:
            charged[row["customer_no"], row["document_no"]] += row["amount_gross"]
        for row in self.bookings:
            reference = row["reference"]
            if reference is None:
                reference = (row["company_code"], row["fiscal_year"], row["document_no"])
            booked[row["customer_no"], reference] += row["amount"]
        later = {
            (row["customer_no"], row["reference"])
            for _, row in self._lines("bookkeeper_vault.msat_document_line", lambda date: date > self.date)
        }
        sums, counts = defaultdict(lambda: ZERO), defaultdict(int)
        for document in charged.keys() | booked.keys():
            difference = charged.get(document, ZERO) - booked.get(document, ZERO)
            if difference == 0:
                continue
            if document in charged and document in booked:
                reason = "amount_differs"
            elif document in booked:
                reason = "not_charged"
            else:
                reason = "booked_later" if document in later else "not_booked"
            sums[document[0], reason] += difference
            counts[document[0], reason] += 1
        return sums, counts


# ---- the document: columns, keys, totals -----------------------------------------------------------------------------

Dataset = namedtuple("Dataset", "columns key totals")


def documented(path):
    """The datasets of docs/datasets.md: columns (name, type), key, totals."""
    datasets = {}
    with open(path, encoding="utf-8") as file:
        sections = re.split(r"^## ", file.read(), flags=re.MULTILINE)
    for section in sections:
        name = section.split("\n", 1)[0].strip()
        key = re.search(r"^Key and order: ([^.]*)\.", section, re.MULTILINE)
        totals = re.search(r"Totals: ([^.]*) by `currency`\.", section)
        if not key:
            continue
        columns = re.findall(r"^\| `(\w+)` \| ([^|]*?) \|", section, re.MULTILINE)
        datasets[name] = Dataset(columns, re.findall(r"`(\w+)`", key[1]), re.findall(r"`(\w+)`", totals[1]))
    return datasets


def text_of(value, type_name):
    """A value as the files have it."""
    if value is None or type_name in ("text", "date", "character(3)"):
        return value
    if type_name == "boolean":
        return "t" if value else "f"
    if type_name == "integer":
        return str(value)
    if type_name == "timestamp without time zone":
        return value.rstrip("0").rstrip(".")
    precision, scale = map(int, re.fullmatch(r"numeric\((\d+),(\d+)\)", type_name).groups())
    quantized = value.quantize(Decimal(1).scaleb(-scale))  # inexact would be an error
    if abs(quantized) >= Decimal(10) ** (precision - scale):
        raise ValueError(f"{value} does not fit {type_name}")
    return str(quantized if quantized else abs(quantized))


# ---- the export ------------------------------------------------------------------------------------------------------


class Export:
    """Manifests and files; what is wrong with them in themselves is a problem."""

    def __init__(self, manifest, files, date, cutoff, documents, problems):
        self.files = files
        self.problems = problems
        self.rows = {}
        self.partition_of_customer = {}
        run = json.loads(self._bytes(manifest))
        self._same("run manifest", "business date", run["run"]["business_date"], date)
        written = run["cutoff"].replace("T", " ").rstrip("Z")
        self._same("run manifest", "cut-off", written.ljust(26, "0") if "." in written else f"{written}.000000", cutoff)
        self._same("run manifest", "datasets", [entry["name"] for entry in run["datasets"]], sorted(documents))
        for entry in run["datasets"]:
            if entry["name"] in documents:
                self.rows[entry["name"]] = self._dataset(entry, run, documents[entry["name"]])

    def _same(self, subject, what, found, expected):
        if found != expected:
            self.problems.add(subject, f"{what}: expected {expected!r}, found {found!r}")

    def _bytes(self, url):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "file":
            path = urllib.parse.unquote(parts.path)
        elif parts.scheme == "s3":
            if not self.files:
                raise ValueError(f"{url}: download the bucket and name the folder by --files")
            path = os.path.join(self.files, urllib.parse.unquote(parts.path).lstrip("/"))
        else:
            path = url
        with open(path, "rb") as file:
            return file.read()

    def _dataset(self, entry, run, document):
        name = entry["name"]
        data = self._bytes(entry["manifest_uri"])
        self._same(name, "SHA-256 of the manifest", hashlib.sha256(data).hexdigest(), entry["manifest_sha256"])
        manifest = json.loads(data)
        columns = [column for column, _ in document.columns]
        self._same(name, "dataset", manifest["dataset"], name)
        self._same(name, "run", manifest["run"], run["run"])
        self._same(name, "key", manifest["key"], document.key)
        self._same(
            name, "schema", [(column["name"], column["type"]["base"]) for column in manifest["schema"]["elements"]],
            document.columns)
        entries = manifest["entries"]
        self._same(name, "parts", entry["parts"], len(entries))
        for what, found in [("bytes", "content_length"), ("rows", "record_count")]:
            total = sum(part["meta"][found] for part in entries)
            self._same(name, f"{what} in the manifest", manifest["meta"][found], total)
            self._same(name, f"{what} in the run's manifest", entry[what], total)
        self._same(name, "files named twice", len(entries) - len({part["url"] for part in entries}), 0)
        partitions = [part["partition"] for part in entries]
        self._same(name, "order of partitions", partitions, sorted(partitions))
        self._same(name, "partitions", set(partitions) - set(range(run["partition_count"])), set())

        rows, last = [], None
        for part in entries:
            data = self._bytes(part["url"])
            subject = part["url"].rsplit("/", 1)[-1]
            self._same(name, f"bytes of {subject}", len(data), part["meta"]["content_length"])
            self._same(name, f"SHA-256 of {subject}", hashlib.sha256(data).hexdigest(), part["sha256"])
            compression = manifest["csv"]["compression"]
            if compression == "gzip":
                data = gzip.decompress(data)
            elif compression != "none":
                raise ValueError(f"{part['url']} is compressed by {compression}; this program reads none and gzip")
            header, *found = csv_rows(data.decode("utf-8"))
            self._same(name, f"header of {subject}", header, columns)
            self._same(name, f"rows of {subject}", len(found), part["meta"]["record_count"])
            if last is None or last[0] != part["partition"]:
                last = (part["partition"], None)
            for row in found:
                self._same(name, "fields of a row", len(row), len(columns))
                row = dict(zip(columns, row))
                last = self._place(name, row, document, last)
                rows.append(row)
        totals = [
            {"name": total["name"], "currency": total["currency"], "amount": Decimal(total["amount"])}
            for total in manifest["totals"]
        ]
        self._same(name, "control totals", totals, self._totals(rows, document))
        self._same(name, "control totals in the run's manifest", entry["totals"], manifest["totals"])
        return rows

    def _place(self, name, row, document, last):
        """Checks a row's place: the order within its partition, and its customer's partition."""
        partition, before = last
        types = dict(document.columns)
        key = tuple(
            int(row[column]) if types[column] == "integer" else row[column].encode("utf-8") for column in document.key)
        if before is not None and key <= before:
            self.problems.add(name, f"partition {partition}: {key} comes after {before}")
        customer_no = row["customer_no"]
        expected = 0 if customer_no is None else self.partition_of_customer.setdefault(customer_no, partition)
        self._same(name, f"partition of {key}, customer {customer_no}", partition, expected)
        return partition, key

    @staticmethod
    def _totals(rows, document):
        """The control totals of the exported rows, in order of column and currency."""
        sums = defaultdict(lambda: ZERO)
        for row in rows:
            for column in document.totals:
                sums[column, row["currency"]] += Decimal(row[column])
        return [
            {"name": column, "currency": currency, "amount": amount}
            for (column, currency), amount in sorted(sums.items())
        ]

    def check_sums(self):
        """What must add up in the exported rows, whatever the vaults hold."""
        amount = lambda row, *names: sum((Decimal(row[name]) for name in names), ZERO)  # noqa: E731
        for name, key in [("tripica.balances", "account_no"), ("oibl.customer", "customer_no")]:
            for row in self.rows.get(name, []):
                subject = f"{key} {row[key]}"
                opened = amount(row, "open_amount")
                self._same(
                    name, f"{subject}: charged - paid - written_off",
                    amount(row, "charged") - amount(row, "paid", "written_off"), opened)
                self._same(
                    name, f"{subject}: not_due + overdue - credit",
                    amount(row, "not_due", "overdue") - amount(row, "credit"), opened)
                ages = amount(row, "overdue_0_30", "overdue_31_60", "overdue_61_90", "overdue_over_90")
                self._same(name, f"{subject}: ages of overdue", ages, amount(row, "overdue"))
        for row in self.rows.get("oibl.customer", []):
            subject = f"customer_no {row['customer_no']}"
            difference = amount(row, "difference")
            self._same(
                "oibl.customer", f"{subject}: charged - booked", amount(row, "charged") - amount(row, "booked"),
                difference)
            self._same("oibl.customer", f"{subject}: reasons", amount(row, *Expected.REASONS), difference)
        documents = defaultdict(lambda: ZERO)
        for row in self.rows.get("bookkeeper.journal_entries", []):
            documents[row["company_code"], row["fiscal_year"], row["document_no"]] += (
                amount(row, "debit") - amount(row, "credit"))
        for document, rest in documents.items():
            self._same("bookkeeper.journal_entries", f"debit - credit of {document}", rest, ZERO)


# ---- comparison ------------------------------------------------------------------------------------------------------


def compare(name, expected, found, document, problems):
    """Compares all cells of a dataset; the number of cells that were compared."""
    def by_key(rows, what):
        result = {}
        for row in rows:
            key = tuple(row[column] for column in document.key)
            if result.setdefault(key, row) is not row:
                problems.add(name, f"{show(key)} is twice in what {what}")
        return result

    def show(key):
        return " ".join(f"{column}={value}" for column, value in zip(document.key, key))

    texts = [{column: text_of(row[column], kind) for column, kind in document.columns} for row in expected]
    expected, found = by_key(texts, "was computed"), by_key(found, "was exported")
    for key in sorted(expected.keys() - found.keys()):
        problems.add(name, f"{show(key)}: the row is missing")
    for key in sorted(found.keys() - expected.keys()):
        problems.add(name, f"{show(key)}: the row is not expected")
    cells = 0
    for key in sorted(expected.keys() & found.keys()):
        for column, _ in document.columns:
            cells += 1
            if expected[key][column] != found[key][column]:
                problems.add(
                    name,
                    f"{show(key)} {column}: expected {expected[key][column]!r}, found {found[key][column]!r}")
    return cells


def check(arguments):
    problems = Problems()
    cutoff = cutoff_of(arguments.date, arguments.cutoff_time, arguments.time_zone)
    documents = documented(arguments.documentation)
    expected = Expected(Vault(arguments.dumps, cutoff), arguments.date).datasets
    export = Export(arguments.manifest, arguments.files, arguments.date, cutoff, documents, problems)
    if set(expected) != set(documents):
        problems.add("documentation", f"this program computes {sorted(expected)}, documented are {sorted(documents)}")
    export.check_sums()
    for name in expected:
        before = problems.count
        cells = compare(name, expected[name], export.rows.get(name, []), documents[name], problems)
        verdict = "all agree" if problems.count == before else f"{problems.count - before} differences"
        print(f"{arguments.date} {name}: {len(expected[name])} rows, {cells} cells compared, {verdict}")
    problems.end()
    print(f"{arguments.date}: {problems.count} differences")
    return 1 if problems.count else 0


def main():
    documentation = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/datasets.md")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    dumping = commands.add_parser("dump", help="write the vaults' tables to files")
    dumping.add_argument("folder")
    checking = commands.add_parser("check", help="compute an export again and compare")
    checking.add_argument("--dumps", required=True, help="the folder that `dump` wrote")
    checking.add_argument("--date", required=True, help="the business date")
    checking.add_argument("--manifest", required=True, help="the run's manifest: run.json or latest.json, file or URI")
    checking.add_argument("--files", help="folder with a copy of the bucket: s3://bucket/KEY is FOLDER/KEY")
    checking.add_argument("--documentation", default=documentation, help="docs/datasets.md: columns, keys, totals")
    checking.add_argument("--time-zone", default="Europe/Berlin", help="as BDA_TIME_ZONE")
    checking.add_argument("--cutoff-time", default="05:00", help="as BDA_CUTOFF_TIME")
    arguments = parser.parse_args()
    try:
        if arguments.command == "dump":
            dump(arguments.folder)
            return 0
        return check(arguments)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"audit.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
