#!/usr/bin/env python3
"""Makes a small warehouse in which every rule of docs/datasets.md meets its odd cases, by a seed.

    nasty.py SEED FOLDER

writes FOLDER/first.sql, which fills empty vaults, and FOLDER/later.sql, which adds rows that were all loaded after the cut-off
of the business date, and prints that date. Load both with psql. The warehouse passes the prechecks: its loads are complete, what
is known at the cut-off has all that belongs to it, journals balance, taxes are right within a cent, all is in EUR. Everything
else is as odd as it may be: several versions within a microsecond, loads at the very cut-off, cancellations of what is not
there, payouts beyond the credit, documents that one system books otherwise than the other, text that CSV finds difficult.
"""

import datetime
import hashlib
import os
import random
import sys
import zoneinfo
from collections import defaultdict
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
MICROSECOND = datetime.timedelta(microseconds=1)
CENT = Decimal("0.01")
GHOST = "\\x" + "00" * 16
# Leap days, ends of years and months, days before and after the clock changes.
DATES = [
    "2024-02-28", "2024-02-29", "2024-12-31", "2025-01-01", "2025-02-28", "2025-03-29", "2025-03-30", "2025-05-31",
    "2025-10-25", "2025-10-26", "2025-12-31", "2026-01-01", "2026-01-15",
]
TEXTS = [
    None, None, "", "plain", 'with "quotes"', '"', "a, comma", ",", "two\nlines", "carriage\r\nreturn", "\n", "tab\there",
    "Größe, Straße, Übermaß", "🔌⚡️ 👩‍🔧", " spaces ", "\\.", "\\N", "NULL", "back\\slash",
]
# Satellites whose loads are announced in load_control.
ANNOUNCED = {
    "datalake_vault": ["sat_customer", "sat_account", "sat_contract", "sat_charge", "sat_payment", "sat_write_off"],
    "dunning_vault": ["sat_dunning_case", "sat_dunning_block"],
    "bookkeeper_vault": ["sat_document", "msat_document_line", "msat_journal_line", "msat_tax_line"],
}


def hash_key(*parts):
    return "\\x" + hashlib.md5("|".join(map(str, parts)).encode()).hexdigest()


class Entity:
    """A hub's row; what hangs on it is loaded late when it is."""

    def __init__(self, key, late, **others):
        self.key = key
        self.late = late
        self.hk = hash_key(key) if isinstance(key, str) else hash_key(*key)
        self.__dict__.update(others)


class Warehouse:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.date = datetime.date.fromisoformat(self.random.choice(DATES))
        self.cutoff = self._morning(datetime.time(5))
        self.load = (self._morning(datetime.time(0, 45)), self._morning(datetime.time(3, 45)))
        self.tables = defaultdict(list)
        self._documents = set()
        self._numbers = defaultdict(int)
        self._fill()

    # ---- chance ------------------------------------------------------------------------------------------------------

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, *choices):
        return self.random.choice(choices)

    def text(self):
        return self.random.choice(TEXTS)

    def _morning(self, time):
        day = self.date + datetime.timedelta(days=1)
        return datetime.datetime.combine(day, time, BERLIN).astimezone(datetime.timezone.utc)

    def _known(self):
        """An instant at which a load counts."""
        kind = self.random.random()
        if kind < 0.15:
            return self.cutoff
        if kind < 0.25:
            return self.cutoff - MICROSECOND
        if kind < 0.5:  # in the night's load, its ends included
            start, end = self.load
            return start + self.pick(0, 1, self.random.random()) * (end - start)
        if kind < 0.6:
            return self.load[1] + datetime.timedelta(minutes=self.random.randrange(1, 70))
        return self.load[0] - datetime.timedelta(days=self.random.randrange(1, 500), seconds=self.random.randrange(7200))

    def _late(self):
        """An instant at which a load does not count any more."""
        return self.cutoff + self.pick(
            MICROSECOND, MICROSECOND, 2 * MICROSECOND, datetime.timedelta(minutes=20), datetime.timedelta(days=1),
            datetime.timedelta(days=2, hours=3))

    def loads(self, late, most=1):
        """Instants of loads, all different, in order: of what is not late at least one counts."""
        instants = {self._late() if late else self._known()}
        for _ in range(self.random.randrange(most)):
            other = self._late() if late or self.chance(0.3) else self._known()
            # Often right after another one.
            instants.add(self.random.choice(sorted(instants)) + MICROSECOND if self.chance(0.3) else other)
        if not late and min(instants) > self.cutoff:
            instants.add(self.cutoff)
        return sorted(instants)

    def day(self):
        """A date at or near a border: of the business date, of the ages, of years and months."""
        near = [-366, -365, -92, -91, -90, -89, -62, -61, -60, -59, -32, -31, -30, -29, -2, -1, 0, 0, 0, 1, 2, 14, 31]
        year = self.date.year
        fixed = [
            datetime.date(year - 1, 12, 31), datetime.date(year, 1, 1), datetime.date(year, 12, 31),
            datetime.date(2024, 2, 29), datetime.date(year, 3, 1),
        ]
        return self.random.choice([self.date + datetime.timedelta(days=days) for days in near] + fixed)

    def past(self):
        """Mostly a date that counts."""
        return self.date - datetime.timedelta(days=self.random.randrange(400)) if self.chance(0.7) else self.day()

    def money(self):
        kind = self.random.random()
        if kind < 0.1:
            return Decimal("0.00")
        if kind < 0.25:
            return self.pick(CENT, 2 * CENT, Decimal("0.99"))
        if kind < 0.6:
            return self.pick(Decimal("10.00"), Decimal("100.00"), Decimal("119.00"))
        if kind < 0.63:
            return Decimal("123456789.99")
        return Decimal(self.random.randrange(1, 500000)) * CENT

    def tax(self, net):
        """A rate and a tax that is right within a cent."""
        rate = self.pick(Decimal("19.00"), Decimal("7.00"), Decimal("0.00"))
        return rate, (net * rate / 100).quantize(CENT, self.pick(ROUND_FLOOR, ROUND_CEILING))

    def key(self, kind):
        """A new business key; some sort otherwise in other collations than "C"."""
        self._numbers[kind] += 1
        form = self.pick("{0}-{1:03}", "{0}-{1:03}", "{2}{1}", "Ü {0},{1}", "_{0}{1}", '{0}"{1}"')
        return form.format(kind, self._numbers[kind], kind.lower())

    # ---- rows --------------------------------------------------------------------------------------------------------

    def add(self, table, load_dts, **columns):
        self.tables[table].append({"load_dts": load_dts, "record_source": "nasty", **columns})

    def hub(self, table, hk_name, key_name, kind, late=False, **others):
        entity = Entity(self.key(kind), late or self.chance(0.08), **others)
        self.add(table, self.loads(entity.late)[0], **{hk_name: entity.hk, key_name: entity.key})
        return entity

    def link(self, table, own_name, late, load=None, **ends):
        load = load or self.loads(late)[0]
        self.add(table, load, **{own_name: hash_key(load.isoformat(), *ends.values())}, **ends)

    def version(self, table, load_dts, hk_name, hk, **columns):
        difference = hash_key(load_dts.isoformat(), *columns.values())
        self.add(table, load_dts, **{hk_name: hk}, hash_diff=difference, **columns)

    # ---- Tripica -----------------------------------------------------------------------------------------------------

    def _fill(self):
        self.customers = [self._customer() for _ in range(self.random.randrange(5, 41))]
        self.accounts = [
            self._account(customer) for customer in self.customers for _ in range(self.random.randrange(4))]
        self.charges = []
        # Some look like numbers of SAP's own.
        self.document_nos = [f"R{number:03}" for number in range(1, 40)] + ["", 'R "x",']
        self.document_nos += [f"1000/2025/{number}" for number in range(900, 906)]
        for account in self.accounts:
            self._contracts(account)
        for account in self.accounts:
            for _ in range(self.pick(0, 1, 2, 5, 8) if account.contracts else 0):
                self._charge(account)
        with_charges = [account for account in self.accounts if account.contracts]
        for _ in range(len(self.charges) // 2 if with_charges else 0):
            self._cancellation(self.random.choice(with_charges))
        for account in self.accounts:
            for _ in range(self.pick(0, 0, 1, 2, 4)):
                self._payment(account)
            if self.chance(0.3):
                self._write_off(account)
        if self.chance(0.8):
            for account in self.accounts:
                for _ in range(self.pick(0, 0, 1, 2)):
                    self._dunning_case(account)
        self._moves()
        self._bookkeeper()

    def _customer(self):
        customer = self.hub("datalake_vault.hub_customer", "customer_hk", "customer_no", "C")
        for load in self.loads(customer.late, 3):
            self.version(
                "datalake_vault.sat_customer", load, "customer_hk", customer.hk, customer_name=self.text() or "",
                segment=self.pick("private", "business"), city=self.text())
        return customer

    def _account(self, customer):
        account = self.hub(
            "datalake_vault.hub_account", "account_hk", "account_no", "A", customer.late, customer=customer)
        self.link(
            "datalake_vault.link_account_customer", "account_customer_hk", account.late, account_hk=account.hk,
            customer_hk=customer.hk)
        for load in self.loads(account.late, 3):
            self.version(
                "datalake_vault.sat_account", load, "account_hk", account.hk, currency="EUR",
                payment_method=self.pick("direct_debit", "transfer"), status=self.pick("active", "closed"))
        return account

    def _contracts(self, account):
        account.contracts = []
        for _ in range(self.pick(0, 1, 1, 2)):
            contract = self.hub("datalake_vault.hub_contract", "contract_hk", "contract_no", "V", account.late)
            self.link(
                "datalake_vault.link_contract_account", "contract_account_hk", contract.late, contract_hk=contract.hk,
                account_hk=account.hk)
            for load in self.loads(contract.late, 2):
                self.version(
                    "datalake_vault.sat_contract", load, "contract_hk", contract.hk,
                    product=self.pick("electricity", "gas", "water"), valid_from=self.past(), valid_to=None)
            account.contracts.append(contract)

    def _charge(self, account, cancels=None, amounts=None):
        # Now and then a contract that has moved to another account since.
        owner = account if self.chance(0.9) else self.random.choice([a for a in self.accounts if a.contracts])
        contract = self.random.choice(owner.contracts)
        charge = self.hub(
            "datalake_vault.hub_charge", "charge_hk", "charge_no", "P", account.late or contract.late, account=account)
        self.link(
            "datalake_vault.link_charge", "charge_account_hk", charge.late, charge_hk=charge.hk,
            contract_hk=contract.hk, account_hk=account.hk)
        type_name = "STORNO" if cancels is not None else self.pick("ABSCHLAG", "JAHRESRECHNUNG", "GUTSCHRIFT")
        sign = -1 if type_name == "GUTSCHRIFT" else 1
        document_no, due_date = self.random.choice(self.document_nos), self.day()
        dated, net = self.past(), sign * self.money()
        charge.versions = []
        for load in self.loads(charge.late, 4):
            if charge.versions and self.chance(0.4):
                net = sign * self.money()
            if charge.versions and self.chance(0.3):
                dated, due_date = self.day(), self.day()
            rate, tax = self.tax(net)
            amounts_now = amounts or (rate, net, tax)
            version = {
                "document_no": document_no, "charge_type": type_name, "status": self.pick("booked", "cancelled"),
                "document_date": dated, "due_date": due_date, "currency": "EUR", "tax_rate": amounts_now[0],
                "amount_net": amounts_now[1], "amount_tax": amounts_now[2],
                "amount_gross": amounts_now[1] + amounts_now[2], "cancels_charge_no": cancels or None,
                "description": self.text(),
            }
            self.version("datalake_vault.sat_charge", load, "charge_hk", charge.hk, **version)
            charge.versions.append((load, version))
        self.charges.append(charge)

    def _cancellation(self, account):
        """Of a charge of the account or of another one, of another cancellation, of nothing that is there, of nothing said."""
        own = [charge for charge in self.charges if charge.account is account]
        kind = self.random.random()
        if kind < 0.75 and own:
            charge = self.random.choice(own)
        elif kind < 0.85:
            charge = self.random.choice(self.charges)
        else:
            self._charge(account, cancels=self.pick("", "P-gone", "P-gone", "P gone, too"))
            return
        _, version = self.random.choice(charge.versions)
        amounts = (version["tax_rate"], -version["amount_net"], -version["amount_tax"])
        # All of it, or another amount: a part, more than all.
        self._charge(account, cancels=charge.key, amounts=amounts if self.chance(0.7) else None)

    def _of_account(self, kind, names, account):
        vault, table, hk_name, key_name = names
        entity = self.hub(f"{vault}.hub_{table}", hk_name, key_name, kind, account.late)
        self.link(
            f"{vault}.link_{table}_account", f"{table}_account_hk", entity.late,
            **{hk_name: entity.hk, "account_hk": account.hk})
        return entity

    def _payment(self, account):
        payment = self._of_account("Z", ("datalake_vault", "payment", "payment_hk", "payment_no"), account)
        amount, dated = self.money() * self.pick(1, 1, 1, -1), self.past()
        for load in self.loads(payment.late, 3):
            self.version(
                "datalake_vault.sat_payment", load, "payment_hk", payment.hk, value_date=dated, currency="EUR",
                amount=amount, method=self.pick("direct_debit", "transfer", "payout"),
                status=self.pick("received", "received", "returned"), reference=self.text())
            if self.chance(0.3):
                amount, dated = self.money(), self.day()

    def _write_off(self, account):
        write_off = self._of_account("W", ("datalake_vault", "write_off", "write_off_hk", "write_off_no"), account)
        for load in self.loads(write_off.late, 3):
            self.version(
                "datalake_vault.sat_write_off", load, "write_off_hk", write_off.hk, write_off_date=self.past(),
                currency="EUR", amount=self.money(), reason=self.pick("insolvency", "limitation", "goodwill"),
                status=self.pick("booked", "booked", "reversed"), document_no=self.pick(None, "", "R001"))

    def _dunning_case(self, account):
        case = self._of_account("M", ("dunning_vault", "dunning_case", "dunning_case_hk", "case_no"), account)
        for load in self.loads(case.late, 3):
            self.version(
                "dunning_vault.sat_dunning_case", load, "dunning_case_hk", case.hk,
                document_no=self.random.choice(self.document_nos), status=self.pick("open", "open", "closed"),
                dunning_level=self.pick(1, 2, 3), level_date=self.past(), currency="EUR", amount_dunned=self.money(),
                fee=self.pick(Decimal("0.00"), Decimal("2.50"), Decimal("7.50")))
        for load in self.loads(case.late or self.chance(0.3), 3) if self.chance(0.6) else []:
            self.version(
                "dunning_vault.sat_dunning_block", load, "dunning_case_hk", case.hk, block_reason=self.text() or "",
                blocked_from=self.pick(self.date, self.past()),
                blocked_until=self.pick(None, self.date, self.day()))

    def _moves(self):
        """Links that say something else from after the cut-off on."""
        for account in self.accounts:
            if self.chance(0.2):
                self.link(
                    "datalake_vault.link_account_customer", "account_customer_hk", True, account_hk=account.hk,
                    customer_hk=self.random.choice(self.customers).hk)
        for charge in self.charges:
            if self.chance(0.1):
                other = self.random.choice(self.charges).account
                self.link(
                    "datalake_vault.link_charge", "charge_account_hk", True, charge_hk=charge.hk,
                    contract_hk=self.random.choice(other.contracts).hk, account_hk=other.hk)

    # ---- Bookkeeper --------------------------------------------------------------------------------------------------

    def _bookkeeper(self):
        partners = []
        for customer in self.customers:
            if self.chance(0.85):
                # The hubs of the two systems learn of a customer at different times.
                partner = Entity(customer.key, self.chance(0.1))
                partners.append(partner)
        partners += [Entity(self.key("S"), self.chance(0.1)) for _ in range(self.random.randrange(3))]
        for partner in partners:
            self.add(
                "bookkeeper_vault.hub_business_partner", self.loads(partner.late)[0], partner_hk=partner.hk,
                partner_no=partner.key)
        by_key = {partner.key: partner for partner in partners}

        # What Tripica has, document by document, so that many bookings can be right.
        charged = defaultdict(lambda: Decimal("0.00"))
        for charge in self.charges:
            counted = [version for load, version in charge.versions if load <= self.cutoff]
            if counted and counted[-1]["document_date"] <= self.date:
                charged[charge.account.customer.key, counted[-1]["document_no"]] += counted[-1]["amount_gross"]
        for (customer, document_no), amount in sorted(charged.items()):
            partner = by_key.get(customer)
            if partner is None or self.chance(0.15):
                continue
            if self.chance(0.05):
                partner = self.random.choice(partners)  # booked to somebody else
            if self.chance(0.2):
                amount += self.pick(CENT, -CENT, self.money(), -amount)
            parts = [amount]
            if self.chance(0.3):
                part = self.money()
                parts = [part, amount - part]
            for part in parts:
                posted = self.past() if self.chance(0.8) else self.date + datetime.timedelta(days=self.pick(1, 2, 40))
                self._document(partner, part, document_no, posted)
        for partner in partners:
            for _ in range(self.pick(0, 0, 1, 2)):
                reference = self.pick(None, None, "", "R-nowhere", self.random.choice(self.document_nos))
                # Without reference, but numbered like one of the customer's documents in Tripica.
                alike = sorted(no for customer, no in charged if customer == partner.key and no.count("/") == 2)
                key = alike[0].split("/") if reference is None and alike else None
                self._document(partner, self.money() * self.pick(1, -1), reference, self.day(), key)
            if self.chance(0.3):
                # Two manual postings that leave nothing, and are two documents all the same.
                amount, posted = self.money(), self.past()
                self._document(partner, amount, None, posted)
                self._document(partner, -amount, None, posted)
        for _ in range(self.random.randrange(4)):
            self._document(None, self.money(), self.pick(None, "R001"), self.day())

    def _document(self, partner, amount, reference, posted, key=None):
        late = (partner is not None and partner.late) or self.chance(0.08)
        self._numbers["D"] += 1
        year = self.pick(2025, 2025, 2024, 999)
        drawn = (self.pick("1000", "1000", "0900", "2000"), year, f"{self._numbers['D'] % 30:03}")
        key = (key[0], int(key[1]), key[2]) if key else drawn
        while key in self._documents:
            key = (key[0], key[1], key[2] + "0")
        self._documents.add(key)
        document = Entity(key, late)
        self.add(
            "bookkeeper_vault.hub_document", self.loads(late)[0], document_hk=document.hk, company_code=key[0],
            fiscal_year=key[1], document_no=key[2])
        self.link(
            "bookkeeper_vault.link_document_partner", "document_partner_hk", late, document_hk=document.hk,
            partner_hk=partner.hk if partner else GHOST)
        for load in self.loads(late, 3):
            self.version(
                "bookkeeper_vault.sat_document", load, "document_hk", document.hk,
                document_type=self.pick("DR", "DG", "AB", "SA"), document_date=self.past(), posting_date=posted,
                currency="EUR", reference=reference, header_text=self.text())
            if self.chance(0.2):
                posted = self.day()
            if self.chance(0.1):
                reference = self.pick(None, "", self.random.choice(self.document_nos))

        # Customer lines: now and then none, now and then of a document without a customer. Sets grow and shrink; the
        # newest that counts has the amount, unless it was booked again to another one.
        for load in self.loads(late, 4) if self.chance(0.9) else []:
            count = self.pick(1, 1, 2, 3, 11)
            amounts = [self.money() * self.pick(1, -1) for _ in range(count - 1)]
            amounts.append(amount - sum(amounts) if self.chance(0.9) else self.money())
            for line_no, part in enumerate(amounts, self.pick(1, 1, 5)):
                self._line("msat_document_line", load, document, line_no, amount=part, due_date=self.day(), line_text=self.text())
        for load in self.loads(late, 3):
            count = self.pick(1, 1, 2, 5)
            amounts = [self.money() for _ in range(count)]
            lines = [("S", part) for part in amounts] + [("H", sum(amounts))]
            if self.chance(0.3):
                lines += [("S", Decimal("0.00"))]
            self.random.shuffle(lines)
            for line_no, (side, part) in enumerate(lines, 1):
                self._line(
                    "msat_journal_line", load, document, line_no, gl_account=self.pick("140000", "800000", "1"),
                    debit_credit=side, amount=part, cost_center=self.text())
        for load in self.loads(late, 3) if self.chance(0.7) else []:
            for line_no in range(1, self.pick(2, 2, 3, 12)):
                net = self.money() * self.pick(1, -1)
                rate, tax = self.tax(net)
                self._line(
                    "msat_tax_line", load, document, line_no, tax_code={19: "A1", 7: "A2", 0: "A0"}[int(rate)],
                    tax_rate=rate, net_amount=net, tax_amount=tax)

    def _line(self, table, load, document, line_no, **columns):
        self.version(f"bookkeeper_vault.{table}", load, "document_hk", document.hk, line_no=line_no, **columns)

    # ---- files -------------------------------------------------------------------------------------------------------

    def write(self, folder):
        os.makedirs(folder, exist_ok=True)
        first, later = {}, {}
        for table, rows in self.tables.items():
            # Some of what is late is there when the date is run for the first time.
            first[table], later[table] = [], []
            for row in rows:
                (first if row["load_dts"] <= self.cutoff or self.chance(0.3) else later)[table].append(row)
        for vault, satellites in ANNOUNCED.items():
            start, end = self.load
            first[f"{vault}.load_control"] = [
                {
                    "satellite": satellite, "load_name": "nightly", "business_date": self.date,
                    "record_source": "nasty", "started_at": start, "finished_at": end,
                    "row_count": sum(start <= row["load_dts"] <= end for row in first.get(f"{vault}.{satellite}", [])),
                }
                for satellite in satellites
            ]
        for name, tables in [("first", first), ("later", later)]:
            with open(os.path.join(folder, f"{name}.sql"), "w", encoding="utf-8", newline="") as file:
                file.write("BEGIN;\n")
                for table, rows in tables.items():
                    if rows:
                        file.write(f"COPY {table} ({', '.join(rows[0])}) FROM STDIN;\n")
                        file.writelines("\t".join(map(self._copied, row.values())) + "\n" for row in rows)
                        file.write("\\.\n")
                file.write("COMMIT;\n")

    @staticmethod
    def _copied(value):
        """A value in the text format of COPY."""
        if value is None:
            return "\\N"
        text = value.isoformat() if isinstance(value, datetime.datetime) else str(value)
        for plain, escaped in [("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")]:
            text = text.replace(plain, escaped)
        return text


def main():
    if len(sys.argv) != 3 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    warehouse = Warehouse(int(sys.argv[1]))
    warehouse.write(sys.argv[2])
    print(warehouse.date)


if __name__ == "__main__":
    main()
