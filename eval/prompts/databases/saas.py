"""A software service: accounts, users, subscriptions, events, support tickets."""
import datetime

from . import FIRST, LAST, TODAY, column, day, moment, money, pick, table, text, weighted

TABLES = [
    table("accounts", [
        column("id", "integer"), column("name", "text"), column("plan", "text", "free, starter, pro or enterprise. Also called tier."), column("country", "text"),
        column("industry", "text"), column("seats", "integer"), column("created_at", "timestamp", "Also called sign-up date, signed up."),
        column("churned_at", "timestamp", "Empty while the account is active. Also called churn date.", True),
    ], comment="Companies that use the service. Also called companies, customers."),
    table("users", [
        column("id", "integer"), column("account_id", "integer"), column("full_name", "text"), column("email", "text"), column("role", "text"),
        column("created_at", "timestamp"), column("last_login_at", "timestamp", "Empty if the user never logged in", True),
    ], [("account_id", "accounts", "id")]),
    table("subscriptions", [
        column("id", "integer"), column("account_id", "integer"), column("mrr", "decimal", "Monthly recurring revenue in dollars. Also called recurring revenue."),
        column("billing_period", "text"), column("started_on", "date"), column("ended_on", "date", "Empty while it runs", True),
    ], [("account_id", "accounts", "id")]),
    table("events", [
        column("id", "integer"), column("user_id", "integer"), column("event_name", "text", "Also called event type."), column("occurred_at", "timestamp"),
        column("duration_ms", "integer", "Milliseconds"), column("device", "text"),
    ], [("user_id", "users", "id")], "What users did"),
    table("tickets", [
        column("id", "integer"), column("account_id", "integer"), column("subject", "text"), column("priority", "text"), column("status", "text"),
        column("opened_at", "timestamp"), column("closed_at", "timestamp", "Empty while the ticket is open", True),
        column("satisfaction", "integer", "1 to 5, empty without an answer. Also called rating.", True),
    ], [("account_id", "accounts", "id")], "Support tickets. Also called support requests."),
]
WORDS = ("Acme", "Borealis", "Cobalt", "Delta", "Ember", "Fjord", "Granite", "Harbor", "Iris", "Juniper", "Kestrel", "Lumen", "Meridian", "Nimbus", "Onyx")
KINDS = ("Labs", "Foods", "Media", "Bank", "Robotics", "Travel", "Energy", "Health")
COUNTRIES = ("United States", "Germany", "Canada", "Brazil", "Japan", "India")
EVENTS = ("login", "export", "upload", "share", "invite", "search")
PRICES = {"starter": 29, "pro": 99, "enterprise": 900}


def accounts(chance):
    """The accounts; the last of them never had a user."""
    rows = []
    for key in range(1, 121):
        created = moment(chance, day(chance, datetime.date(2023, 1, 1), datetime.date(2025, 6, 10)))
        churned = moment(chance, day(chance, created.date(), TODAY)) if chance.random() < 0.15 else None
        plan = weighted(chance, ("free", 5), ("starter", 6), ("pro", 4), ("enterprise", 2))
        name = f"{WORDS[key % 15]} {KINDS[key // 15 % 8]}"
        rows.append((key, name, plan, COUNTRIES[int(chance.random() ** 1.6 * 6)], KINDS[key * key * 7 // 5 % 8].lower(), 1 + int(chance.random() ** 2 * 80), text(created),
                     text(churned)))
    return rows


def rows(chance):
    """All rows of all tables."""
    companies = accounts(chance)
    users, subscriptions, events, tickets = [], [], [], []
    for key in range(1, 601):
        account = companies[int(chance.random() ** 1.2 * 112)]
        created = moment(chance, day(chance, datetime.date.fromisoformat(account[6][:10])))
        seen = None if chance.random() < 0.07 else moment(chance, day(chance, created.date()))
        first, last = pick(chance, FIRST), pick(chance, LAST)
        users.append((key, account[0], f"{first} {last}", f"{first}.{last}{key}@example.org".lower(), weighted(chance, ("member", 7), ("admin", 2), ("viewer", 3)),
                      text(created), text(seen)))
    for account in companies:
        if account[2] == "free":
            continue
        started = datetime.date.fromisoformat(account[6][:10])
        subscriptions.append((len(subscriptions) + 1, account[0], money(PRICES[account[2]] * (1 + int(chance.random() * 10))),
                              weighted(chance, ("monthly", 2), ("yearly", 1)), text(started), account[7] and account[7][:10]))
    for key in range(1, 5001):
        user = users[int(chance.random() ** 1.5 * 540)]
        events.append((key, user[0], pick(chance, EVENTS), text(moment(chance, day(chance, datetime.date.fromisoformat(user[5][:10])))),
                       20 + int(chance.random() ** 3 * 5000), weighted(chance, ("desktop", 6), ("mobile", 3), ("tablet", 1))))
    for key in range(1, 701):
        account = companies[int(chance.random() * 105)]
        opened = moment(chance, day(chance, datetime.date.fromisoformat(account[6][:10])))
        closed = (opened + datetime.timedelta(hours=1 + chance.random() * 200)).replace(microsecond=0)
        open_still = closed.date() >= TODAY or chance.random() < 0.05
        status = pick(chance, ("open", "waiting")) if open_still else "closed"
        tickets.append((key, account[0], pick(chance, ("Cannot log in", "Billing question", "Export fails", "Feature request", "Slow page")),
                        weighted(chance, ("low", 4), ("normal", 5), ("high", 2), ("urgent", 1)), status, text(opened), None if open_still else text(closed),
                        None if open_still or chance.random() < 0.4 else weighted(chance, (5, 5), (4, 3), (3, 2), (2, 1), (1, 1))))
    return {"accounts": companies, "users": users, "subscriptions": subscriptions, "events": events, "tickets": tickets}
