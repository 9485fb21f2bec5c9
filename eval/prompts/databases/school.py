"""A school: students, teachers, rooms, courses, enrollments with marks, attendance."""
import datetime

from . import FIRST, LAST, column, day, pick, table, text, weighted

TABLES = [
    table("students", [
        column("id", "integer"), column("first_name", "text"), column("last_name", "text"), column("grade_level", "integer", "5 to 12. Also called grade, year group."),
        column("house", "text"), column("gender", "text"), column("birth_date", "date"), column("enrolled_on", "date", "First day at the school"),
    ], comment="Also called pupils"),
    table("teachers", [
        column("id", "integer"), column("full_name", "text"), column("subject", "text"), column("salary", "integer", "Euro per year. Also called pay."),
        column("hired_on", "date"),
    ]),
    table("rooms", [column("id", "integer"), column("room_name", "text"), column("building", "text"), column("seats", "integer", "Also called capacity.")],
          comment="Also called classrooms"),
    table("courses", [
        column("id", "integer"), column("title", "text"), column("subject", "text"), column("credits", "integer"), column("teacher_id", "integer"),
        column("room_id", "integer"),
    ], [("teacher_id", "teachers", "id"), ("room_id", "rooms", "id")], "Also called classes"),
    table("enrollments", [
        column("id", "integer"), column("student_id", "integer"), column("course_id", "integer"), column("term", "text"),
        column("mark", "double", "0 to 100, empty until it is given. Also called score, result.", True),
    ], [("student_id", "students", "id"), ("course_id", "courses", "id")]),
    table("attendance", [
        column("id", "integer"), column("student_id", "integer"), column("course_id", "integer"), column("day", "date"), column("status", "text"),
        column("minutes_late", "integer", None, True),
    ], [("student_id", "students", "id"), ("course_id", "courses", "id")], "Attendance records, one per student, course and day"),
]
SUBJECTS = ("Mathematics", "Physics", "History", "English", "Art", "Biology", "Music")
HOUSES = ("Falcon", "Otter", "Lynx", "Heron")
BUILDINGS = ("Main", "East", "West")


def rows(chance):
    """All rows of all tables."""
    students = []
    for key in range(1, 321):
        grade = 5 + int(chance.random() * 8)
        students.append((key, pick(chance, FIRST), pick(chance, LAST), grade, pick(chance, HOUSES), pick(chance, ("female", "male")),
                         text(day(chance, datetime.date(2019 - grade, 8, 1), datetime.date(2020 - grade, 7, 31))),
                         text(day(chance, datetime.date(2021, 8, 1), datetime.date(2025, 2, 1)))))
    teachers = [(key, f"{FIRST[(key * 7) % 26]} {LAST[(key * 3) % 25]}", SUBJECTS[key % 7], 42000 + int(chance.random() * 3000) * 10,
                 text(day(chance, datetime.date(2005, 1, 1), datetime.date(2024, 9, 1)))) for key in range(1, 23)]
    rooms = [(key, f"Room {100 + key}", pick(chance, BUILDINGS), 12 + int(chance.random() * 24)) for key in range(1, 16)]
    courses = []
    for subject in SUBJECTS:
        for level in ("Basics", "Advanced", "Workshop", "Seminar"):
            able = [each[0] for each in teachers[:19] if each[2] == subject]
            courses.append((len(courses) + 1, f"{subject} {level}", subject, 2 + int(chance.random() * 5), pick(chance, able), 1 + int(chance.random() * 13)))
    enrollments, attendance = [], []
    for student in students[:300]:
        for course in chance.sample(range(1, 28), 3 + int(chance.random() * 4)):
            term = weighted(chance, ("2024 autumn", 1), ("2025 spring", 1))
            mark = None if chance.random() < 0.1 else round(max(12, min(100, chance.gauss(68, 15))), 1)
            enrollments.append((len(enrollments) + 1, student[0], course, term, mark))
            for _ in range(3):
                status = weighted(chance, ("present", 84), ("absent", 8), ("late", 5), ("excused", 3))
                attendance.append((len(attendance) + 1, student[0], course, text(day(chance, datetime.date(2024, 9, 2))), status,
                                   3 + int(chance.random() * 30) if status == "late" else None))
    return {"students": students, "teachers": teachers, "rooms": rooms, "courses": courses, "enrollments": enrollments, "attendance": attendance}
