"""A web shop: customers, products in categories, orders with items, reviews."""
import datetime

from . import FIRST, LAST, TODAY, column, day, moment, money, pick, table, text, weighted

TABLES = [
    table("customers", [
        column("id", "integer"), column("first_name", "text"), column("last_name", "text"), column("email", "text"), column("city", "text"),
        column("country", "text"), column("segment", "text", "consumer or business"),
        column("signed_up_on", "date", "Day of registration. Also called sign-up date, joined."),
        column("newsletter", "boolean", "Whether the customer subscribed to the newsletter"),
    ]),
    table("categories", [column("id", "integer"), column("name", "text")], comment="Product categories"),
    table("products", [
        column("id", "integer"), column("name", "text"), column("sku", "text"), column("category_id", "integer"),
        column("price", "decimal", "Current price in euro"), column("cost", "decimal", "What we pay for it. Also called purchase price."),
        column("stock", "integer", "Pieces in the warehouse. Also called inventory."), column("discontinued", "boolean", "No longer sold"),
    ], [("category_id", "categories", "id")]),
    table("orders", [
        column("id", "integer"), column("customer_id", "integer"), column("ordered_at", "timestamp", "When the order was placed"),
        column("status", "text"), column("payment_method", "text"), column("total", "decimal", "Value of the order in euro. Also called revenue, sales, turnover."),
        column("discount", "decimal", "Discount in euro, already taken off the total"), column("shipping_cost", "decimal", "Also called shipping fee, postage."),
    ], [("customer_id", "customers", "id")]),
    table("order_items", [
        column("id", "integer"), column("order_id", "integer"), column("product_id", "integer"), column("quantity", "integer", "Pieces. Also called units sold."),
        column("unit_price", "decimal"), column("line_total", "decimal", "Quantity times unit price. Also called revenue, sales."),
    ], [("order_id", "orders", "id"), ("product_id", "products", "id")], "One product in an order"),
    table("reviews", [
        column("id", "integer"), column("product_id", "integer"), column("customer_id", "integer"), column("rating", "integer", "Stars, 1 to 5"),
        column("posted_on", "date"), column("body", "text", None, True),
    ], [("product_id", "products", "id"), ("customer_id", "customers", "id")]),
]
PLACES = (("Berlin", "Germany"), ("Munich", "Germany"), ("Hamburg", "Germany"), ("Paris", "France"), ("Lyon", "France"), ("Madrid", "Spain"),
          ("Rome", "Italy"), ("Milan", "Italy"), ("Vienna", "Austria"), ("Amsterdam", "Netherlands"))
CATEGORIES = ("Books", "Electronics", "Garden", "Kitchen", "Toys", "Sports")
GOODS = (("Atlas", "Novel", "Cookbook", "Dictionary", "Comic", "Diary", "Thriller", "Guidebook"),
         ("Headphones", "Keyboard", "Monitor", "Webcam", "Router", "Charger", "Tablet", "Speaker", "Mouse"),
         ("Spade", "Hose", "Lantern", "Flowerpot", "Rake", "Hammock", "Parasol"),
         ("Kettle", "Toaster", "Pan", "Knife", "Blender", "Teapot", "Grater", "Wok"),
         ("Puzzle", "Kite", "Robot", "Dollhouse", "Marbles", "Yo-yo", "Train Set"),
         ("Football", "Racket", "Yoga Mat", "Skates", "Helmet", "Dumbbell", "Tent", "Backpack", "Rope"))


def people(chance):
    """The customers."""
    rows = []
    for key in range(1, 401):
        first, last = pick(chance, FIRST), pick(chance, LAST)
        city, country = PLACES[int(chance.random() ** 1.5 * len(PLACES))]
        rows.append((key, first, last, f"{first}.{last}{key}@example.com".lower(), city, country, weighted(chance, ("consumer", 8), ("business", 2)),
                     text(day(chance, datetime.date(2023, 1, 1))), chance.random() < 0.4))
    return rows


def goods(chance):
    """The products, by category."""
    rows = []
    for category, names in enumerate(GOODS, 1):
        for name in names:
            key, price = len(rows) + 1, money(5 + chance.random() ** 2 * 300)
            stock = 0 if chance.random() < 0.12 else int(chance.random() * 200)
            rows.append((key, name, f"SKU-{1000 + key}", category, price, money(price * (0.4 + chance.random() * 0.3)), stock, chance.random() < 0.1))
    return rows


def sales(chance, customers, products):
    """Orders and their items. Some customers never order, some products are never ordered."""
    orders, items = [], []
    for key in range(1, 2401):
        customer = customers[int(chance.random() ** 1.3 * 360)]
        when = moment(chance, day(chance, datetime.date.fromisoformat(customer[7])), 6, 23)
        total = 0
        for product in chance.sample(products[:-3], 1 + int(chance.random() ** 2 * 4)):
            quantity = 1 + int(chance.random() ** 3 * 5)
            line = money(product[4] * quantity)
            items.append((len(items) + 1, key, product[0], quantity, product[4], line))
            total += line
        discount = money(total * 0.1) if chance.random() < 0.2 else 0
        status = weighted(chance, ("delivered", 70), ("shipped", 8), ("paid", 6), ("pending", 4), ("cancelled", 7), ("returned", 5))
        orders.append((key, customer[0], text(when), status, weighted(chance, ("card", 6), ("paypal", 3), ("invoice", 2)), money(total - discount),
                       discount, 0 if total > 100 else 4.9))
    return orders, items


def rows(chance):
    """All rows of all tables."""
    customers, products = people(chance), goods(chance)
    orders, items = sales(chance, customers, products)
    reviews = [(key, products[int(chance.random() * 42)][0], 1 + int(chance.random() * 400), weighted(chance, (5, 40), (4, 28), (3, 14), (2, 8), (1, 10)),
                text(day(chance, datetime.date(2024, 1, 1), TODAY)), pick(chance, (None, "Works well", "Came late", "Would buy again")))
               for key in range(1, 801)]
    return {"customers": customers, "categories": list(enumerate(CATEGORIES, 1)), "products": products, "orders": orders, "order_items": items,
            "reviews": reviews}
