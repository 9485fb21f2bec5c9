"""A carrier network, with names in camel case: warehouses, carriers, vehicles, shipments, packages."""
import datetime

from . import TODAY, column, day, moment, money, pick, table, text, weighted

TABLES = [
    table("Warehouse", [
        column("warehouseId", "integer"), column("warehouseName", "text"), column("city", "text"), column("country", "text"),
        column("capacityM3", "integer", "Cubic metres it can hold. Also called capacity."),
    ]),
    table("Carrier", [column("carrierId", "integer"), column("carrierName", "text"), column("mode", "text", "road, rail, sea or air. Also called transport mode.")]),
    table("Vehicle", [
        column("vehicleId", "integer"), column("plateNumber", "text", "Also called license plate."), column("carrierId", "integer"), column("vehicleType", "text"),
        column("yearBuilt", "integer"), column("odometerKm", "integer", "Kilometres driven. Also called mileage."), column("lastInspection", "date", None, True),
    ], [("carrierId", "Carrier", "carrierId")]),
    table("Shipment", [
        column("shipmentId", "integer"), column("originWarehouseId", "integer"), column("destinationWarehouseId", "integer"), column("carrierId", "integer"),
        column("shippedAt", "timestamp"), column("deliveredAt", "timestamp", "Empty until it arrived", True),
        column("distanceKm", "integer"), column("freightCost", "decimal", "Euro. Also called shipping cost, freight."), column("status", "text"),
    ], [("originWarehouseId", "Warehouse", "warehouseId"), ("destinationWarehouseId", "Warehouse", "warehouseId"), ("carrierId", "Carrier", "carrierId")]),
    table("Package", [
        column("packageId", "integer"), column("shipmentId", "integer"), column("contents", "text"), column("weightKg", "double", "Also called weight."),
        column("fragile", "boolean"), column("insuredValue", "decimal"),
    ], [("shipmentId", "Shipment", "shipmentId")], "Also called parcels"),
]
WAREHOUSES = (("North Hub", "Hamburg", "Germany", 52000), ("Rhine Depot", "Cologne", "Germany", 34000), ("Alpine Store", "Innsbruck", "Austria", 12000),
              ("Port House", "Rotterdam", "Netherlands", 88000), ("Iberia Hub", "Zaragoza", "Spain", 41000), ("Baltic Depot", "Gdansk", "Poland", 27000))
CARRIERS = (("Schnellfracht", "road"), ("EuroRail Cargo", "rail"), ("Blue Ocean", "sea"), ("SkyLift", "air"), ("Van Dijk Transport", "road"), ("Polska Spedycja", "road"))
TYPES = {"road": ("truck", "van"), "rail": ("locomotive",), "sea": ("vessel",), "air": ("plane",)}
CONTENTS = ("furniture", "electronics", "textiles", "machine parts", "medicine", "food", "paper")


def shipments(chance):
    """Shipments between two different warehouses; those of the last days may be under way."""
    rows = []
    for key in range(1, 1501):
        origin, destination = chance.sample(range(1, 7), 2)
        carrier = 1 + int(chance.random() ** 1.3 * 6)
        shipped = moment(chance, day(chance, datetime.date(2024, 1, 1)), 5, 22)
        delivered = shipped + datetime.timedelta(hours=8 + chance.random() * 160)
        delivered = delivered.replace(microsecond=0)
        status = weighted(chance, ("delivered", 92), ("lost", 2), ("returned", 6))
        if delivered.date() >= TODAY:
            status = "in transit"
        distance = 120 + int(chance.random() * 2100)
        rows.append((key, origin, destination, carrier, text(shipped), text(delivered) if status == "delivered" else None, distance,
                     money(60 + distance * (0.3 + chance.random())), status))
    return rows


def rows(chance):
    """All rows of all tables."""
    vehicles = []
    for key in range(1, 91):
        carrier = 1 + int(chance.random() * 6)
        vehicles.append((key, f"TG-{chance.randrange(100, 999)}-{key:02}", carrier, pick(chance, TYPES[CARRIERS[carrier - 1][1]]), 2006 + int(chance.random() * 19),
                         int(chance.random() * 600000), None if chance.random() < 0.1 else text(day(chance, datetime.date(2023, 6, 1)))))
    sent = shipments(chance)
    packages = [(key, 1 + int(chance.random() * 1500), pick(chance, CONTENTS), round(0.5 + chance.random() ** 2 * 400, 1), chance.random() < 0.2,
                 money(20 + chance.random() ** 3 * 9000)) for key in range(1, 4001)]
    return {"Warehouse": [(key, *each) for key, each in enumerate(WAREHOUSES, 1)], "Carrier": [(key, *each) for key, each in enumerate(CARRIERS, 1)],
            "Vehicle": vehicles, "Shipment": sent, "Package": packages}
