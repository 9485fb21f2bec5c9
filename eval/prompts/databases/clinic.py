"""An outpatient clinic: patients, insurers, departments, doctors, appointments, diagnoses, invoices."""
import datetime

from . import FIRST, LAST, TODAY, column, day, moment, money, pick, table, text, weighted

TABLES = [
    table("insurers", [column("insurer_id", "integer"), column("insurer_name", "text"), column("kind", "text", "public or private")],
          comment="Health insurance companies. Also called insurance."),
    table("patients", [
        column("patient_id", "integer"), column("first_name", "text"), column("last_name", "text"), column("birth_date", "date", "Also called date of birth, born."),
        column("sex", "text", "f or m"), column("city", "text"), column("insurer_id", "integer", None, True), column("registered_on", "date"),
    ], [("insurer_id", "insurers", "insurer_id")]),
    table("departments", [column("department_id", "integer"), column("department_name", "text"), column("floor", "integer")]),
    table("doctors", [
        column("doctor_id", "integer"), column("full_name", "text"), column("specialty", "text"), column("department_id", "integer"), column("hired_on", "date"),
    ], [("department_id", "departments", "department_id")], "Also called physicians"),
    table("appointments", [
        column("appointment_id", "integer"), column("patient_id", "integer"), column("doctor_id", "integer"),
        column("scheduled_at", "timestamp", "When the visit takes place"), column("duration_minutes", "integer", "Also called length."),
        column("status", "text", "booked, completed, cancelled or no-show"), column("reason", "text"),
    ], [("patient_id", "patients", "patient_id"), ("doctor_id", "doctors", "doctor_id")], "Visits of patients. Also called visits."),
    table("diagnoses", [
        column("diagnosis_id", "integer"), column("appointment_id", "integer"), column("code", "text", "ICD code"), column("description", "text"),
        column("severity", "text"),
    ], [("appointment_id", "appointments", "appointment_id")]),
    table("invoices", [
        column("invoice_id", "integer"), column("appointment_id", "integer"), column("amount", "decimal", "Euro. Also called billed amount, billing, revenue."),
        column("issued_on", "date"), column("paid_on", "date", "Empty while the invoice is unpaid", True),
    ], [("appointment_id", "appointments", "appointment_id")], "Also called bills"),
]
INSURERS = (("Nordkasse", "public"), ("Volkskasse", "public"), ("Medica", "private"), ("Alpina Care", "private"), ("Unita", "public"))
DEPARTMENTS = (("Cardiology", 2), ("Dermatology", 1), ("Neurology", 3), ("Orthopedics", 1), ("Pediatrics", 0))
SPECIALTIES = ("cardiologist", "dermatologist", "neurologist", "orthopedist", "pediatrician")
CITIES = ("Lübeck", "Kiel", "Hamburg", "Bremen", "Rostock")
REASONS = ("check-up", "pain", "follow-up", "vaccination", "rash", "dizziness")
CODES = (("I10", "Hypertension"), ("L20", "Atopic dermatitis"), ("G43", "Migraine"), ("M54", "Back pain"), ("J06", "Cold"), ("E11", "Diabetes"))


def visits(chance, patients, doctors):
    """Appointments, a few of them in the future."""
    rows = []
    for key in range(1, 2201):
        date = day(chance, datetime.date(2024, 1, 1), TODAY + datetime.timedelta(days=30))
        status = weighted(chance, ("completed", 80), ("cancelled", 12), ("no-show", 8)) if date < TODAY else "booked"
        rows.append((key, patients[int(chance.random() ** 1.2 * 470)][0], doctors[int(chance.random() * 18)][0], text(moment(chance, date, 8, 17)),
                     pick(chance, (15, 20, 30, 45, 60)), status, pick(chance, REASONS)))
    return rows


def rows(chance):
    """All rows of all tables."""
    insurers = [(key, *each) for key, each in enumerate(INSURERS, 1)]
    patients = [(key, pick(chance, FIRST), pick(chance, LAST), text(day(chance, datetime.date(1935, 1, 1), datetime.date(2024, 12, 31))),
                 pick(chance, "fm"), pick(chance, CITIES), None if chance.random() < 0.06 else 1 + int(chance.random() ** 1.4 * 5),
                 text(day(chance, datetime.date(2022, 1, 1)))) for key in range(1, 501)]
    departments = [(key, *each) for key, each in enumerate(DEPARTMENTS, 1)]
    doctors = []
    for key in range(1, 21):
        department = 1 + int(chance.random() * 5)
        doctors.append((key, f"Dr. {FIRST[key]} {LAST[key]}", SPECIALTIES[department - 1], department,
                        text(day(chance, datetime.date(2010, 1, 1), datetime.date(2024, 1, 1)))))
    appointments = visits(chance, patients, doctors)
    done = [each for each in appointments if each[5] == "completed"]
    diagnoses = [(key, pick(chance, done)[0], *pick(chance, CODES), weighted(chance, ("mild", 6), ("moderate", 3), ("severe", 1))) for key in range(1, 1501)]
    invoices = []
    for visit in done:
        issued = datetime.date.fromisoformat(visit[3][:10]) + datetime.timedelta(days=1)
        paid = issued + datetime.timedelta(days=3 + int(chance.random() * 40))
        unpaid = paid > TODAY or chance.random() < 0.05
        invoices.append((len(invoices) + 1, visit[0], money(40 + visit[4] * (1 + chance.random() * 3)), text(issued), None if unpaid else text(paid)))
    return {"insurers": insurers, "patients": patients, "departments": departments, "doctors": doctors, "appointments": appointments,
            "diagnoses": diagnoses, "invoices": invoices}
