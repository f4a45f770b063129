"""The people who exist in every generated company, whatever its seed and size: demo sign-in and tests rely on them."""

from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class FixedPerson:
    """One person. `leave_days`, `last_day_days`: days from the day of generation to the end of leave, to the last day."""

    personnel_number: str
    login: str
    given: str
    surname: str
    given_latin: str
    surname_latin: str
    country: str
    city: str
    office: str
    division: str
    department: str
    team: str | None
    position: str
    family: str
    manager: str | None
    work_phone: str
    personal_phone: str
    born: date
    hired: date
    middle: str | None = None
    female: bool = False
    protected: bool = False
    locked: bool = False
    state: str = "WORKS"
    leave_days: int | None = None
    last_day_days: int | None = None

    @property
    def full_name(self) -> str:
        return f"{self.given} {self.surname}"

    @property
    def latin_name(self) -> str:
        return f"{self.given_latin} {self.surname_latin}"


def _moscow(number: int, login: str, name: str, latin: str, middle: str | None, *, born: date, hired: date, female: bool = False,
            **rest: Any) -> FixedPerson:  # fmt: skip
    given, surname = name.split()
    given_latin, surname_latin = latin.split()
    facts: dict[str, Any] = {
        "country": "RU", "city": "Moscow", "office": "Moscow, Red Rose",
        "work_phone": f"+749573900{number % 100:02d}", "personal_phone": f"+791655500{number % 100:02d}",
    } | rest  # fmt: skip
    return FixedPerson(
        personnel_number=str(number), login=login, given=given, surname=surname, given_latin=given_latin,
        surname_latin=surname_latin, middle=middle, born=born, hired=hired, female=female, **facts,
    )  # fmt: skip


_SUPPORT: dict[str, Any] = {"division": "Internal Support", "family": "support", "manager": "100003"}

# Managers 100101…100110 are the heads of divisions, who are generated first: see structure.py.
FIXED_PEOPLE: tuple[FixedPerson, ...] = (
    _moscow(100001, "alexander.voronov", "Александр Воронов", "Alexander Voronov", "Петрович", born=date(1972, 4, 11),
            hired=date(2008, 2, 1), division="", department="", team=None, position="Генеральный директор", family="operations",
            manager=None, protected=True),
    _moscow(100002, "maxim.egorov", "Максим Егоров", "Maxim Egorov", "Андреевич", born=date(1979, 9, 23), hired=date(2012, 6, 4),
            division="Finance", department="", team=None, position="Финансовый директор", family="finance", manager="100001",
            protected=True),
    _moscow(100003, "tatiana.belova", "Татьяна Белова", "Tatiana Belova", "Сергеевна", female=True, born=date(1981, 1, 30),
            hired=date(2013, 3, 18), division="Internal Support", department="", team=None,
            position="Директор внутренней поддержки", family="support", manager="100001", protected=True),
    _moscow(100004, "alexey.gromov", "Алексей Громов", "Alexey Gromov", "Викторович", born=date(1985, 7, 2), hired=date(2015, 9, 1),
            division="Technology", department="Payments", team=None, position="Руководитель разработки", family="engineering",
            manager="100101"),
    _moscow(100005, "anna.sorokina", "Анна Сорокина", "Anna Sorokina", "Игоревна", female=True, born=date(1994, 12, 8),
            hired=date(2020, 10, 12), department="First Line", team="First Line CIS", position="Специалист поддержки", **_SUPPORT),
    FixedPerson("100006", "kwame.mensah", "Kwame", "Mensah", "Kwame", "Mensah", "GH", "Accra", "Accra, Airport City", "Internal Support",
                "First Line", "First Line Africa", "Support Specialist", "support", "100003", "+233302200006", "+233245550006",
                date(1993, 3, 6), date(2021, 4, 19)),
    FixedPerson("100007", "lucia.torres", "Lucía", "Torres", "Lucia", "Torres", "CO", "Bogotá", "Bogotá, Chapinero", "Internal Support",
                "First Line", "First Line South America", "Especialista de Soporte", "support", "100003", "+576013550007", "+573105550007",
                date(1996, 5, 21), date(2022, 1, 17), female=True),
    _moscow(100008, "dmitry.orlov", "Дмитрий Орлов", "Dmitry Orlov", "Олегович", born=date(1990, 2, 14), hired=date(2018, 5, 7),
            department="Identity and Access", team="Domain Accounts", position="Старший разработчик", **{**_SUPPORT, "family": "engineering"}),
    FixedPerson("100009", "elena.kim", "Елена", "Ким", "Elena", "Kim", "KZ", "Almaty", "Almaty, Nurly Tau", "Internal Support",
                "HR Service Desk", "HR Service Desk, Almaty", "Партнёр по персоналу", "people", "100003", "+77273550009", "+77015550009",
                date(1991, 8, 19), date(2019, 11, 5), female=True),
    _moscow(100010, "ivan.petrov", "Иван Петров", "Ivan Petrov", "Сергеевич", born=date(1990, 5, 17), hired=date(2019, 3, 4),
            division="Technology", department="Payments", team="Payments, Moscow 1", position="Ведущий разработчик", family="engineering",
            manager="100004", locked=True),
    _moscow(100011, "olga.ivanova", "Ольга Иванова", "Olga Ivanova", "Дмитриевна", female=True, born=date(1992, 10, 3),
            hired=date(2020, 2, 10), division="Technology", department="Payments", team="Payments, Moscow 1",
            position="Инженер по тестированию", family="engineering", manager="100004", state="ON_LEAVE", leave_days=19),
    FixedPerson("100012", "amina.okafor", "Amina", "Okafor", "Amina", "Okafor", "NG", "Lagos", "Lagos, Victoria Island", "Taxi",
                "Driver Operations", "Driver Operations, Lagos", "Operations Specialist", "operations", "100102", "+2342012700012",
                "+2348035550012", date(1995, 6, 27), date(2021, 8, 2), female=True, locked=True),
    FixedPerson("100013", "dastan.akhmetov", "Дастан", "Ахметов", "Dastan", "Akhmetov", "KZ", "Almaty", "Almaty, Nurly Tau", "Taxi",
                "Fleet Partners", "Fleet Partners, Almaty", "Менеджер по работе с партнёрами", "sales", "100102", "+77273550013",
                "+77015550013", date(1988, 11, 11), date(2017, 4, 24), state="DISMISSED", last_day_days=-40),
    _moscow(100014, "maximiliana.konstantinopolskaya", "Максимилиана-Александрина Константинопольская-Преображенская",
            "Maximiliana-Aleksandrina Konstantinopolskaya-Preobrazhenskaya", "Константиновна", female=True, born=date(1987, 3, 29),
            hired=date(2016, 12, 1), division="Legal", department="Contracts",
            team="Contracts with Partners, Suppliers and Public Institutions, Moscow 1",
            position="Старший юрист по договорам с партнёрами, поставщиками и государственными учреждениями", family="legal",
            manager="100110"),
    _moscow(100015, "pavel.zaitsev", "Павел Зайцев", "Pavel Zaitsev", "Николаевич", born=date(1989, 4, 4), hired=date(2018, 8, 13),
            department="Devices", team="Devices, Moscow", position="Старший специалист поддержки", **_SUPPORT),
    _moscow(100016, "vera.lis", "Вера Лис", "Vera Lis", "Павловна", female=True, born=date(1986, 6, 16), hired=date(2016, 5, 23),
            division="Security", department="Information Security", team="Security Reviews", position="Аналитик по безопасности",
            family="security", manager="100109"),
    FixedPerson("100017", "joao.silva", "João", "Silva", "Joao", "Silva", "BR", "São Paulo", "São Paulo, Faria Lima", "Market",
                "Merchants", "Merchants, São Paulo", "Executivo de Contas", "sales", "100103", "+551131550017", "+5511995550017",
                date(1993, 9, 9), date(2022, 3, 7)),
    FixedPerson("100018", "ayse.yilmaz", "Ayşe", "Yılmaz", "Ayse", "Yilmaz", "TR", "Istanbul", "Istanbul, Levent", "Eda",
                "Restaurants", "Restaurants, Istanbul", "Account Executive", "sales", "100105", "+902122950018", "+905325550018",
                date(1994, 2, 25), date(2021, 6, 14), female=True, state="LEAVING", last_day_days=12),
    _moscow(100019, "timur.valiev", "Тимур Валиев", "Timur Valiev", "Ринатович", born=date(1991, 1, 22), hired=date(2019, 2, 11),
            department="Identity and Access", team="Certificates", position="Разработчик", **{**_SUPPORT, "family": "engineering"}),
    _moscow(100020, "galina.shchukina", "Галина Щукина", "Galina Shchukina", "Львовна", female=True, born=date(1984, 9, 5),
            hired=date(2014, 7, 7), department="Devices", team="Mail", position="Старший специалист поддержки", **_SUPPORT),
    _moscow(100021, "roman.chizhov", "Роман Чижов", "Roman Chizhov", "Антонович", born=date(1988, 12, 19), hired=date(2017, 10, 2),
            department="Identity and Access", team="Network", position="Старший разработчик", **{**_SUPPORT, "family": "engineering"}),
    FixedPerson("100022", "aigerim.sadykova", "Айгерим", "Садыкова", "Aigerim", "Sadykova", "KZ", "Almaty", "Almaty, Nurly Tau",
                "Internal Support", "Devices", "Software", "Специалист поддержки", "support", "100003", "+77273550022", "+77015550022",
                date(1995, 3, 12), date(2021, 9, 13), female=True),
    _moscow(100023, "stepan.lykov", "Степан Лыков", "Stepan Lykov", "Фёдорович", born=date(1979, 8, 28), hired=date(2011, 4, 4),
            division="Security", department="Physical Security", team="Badges", position="Специалист по безопасности",
            family="security", manager="100109"),
    _moscow(100024, "irina.volskaya", "Ирина Вольская", "Irina Volskaya", "Марковна", female=True, born=date(1987, 5, 14),
            hired=date(2016, 1, 18), department="First Line", team="Executives' Support", position="Старший специалист поддержки",
            **_SUPPORT),
    FixedPerson("100025", "camila.duarte", "Camila", "Duarte", "Camila", "Duarte", "BR", "São Paulo", "São Paulo, Faria Lima", "Marketing",
                "Performance Marketing", "Performance Marketing, São Paulo", "Gerente de Marketing", "marketing", "100108",
                "+551131550025", "+5511995550025", date(1992, 7, 30), date(2020, 11, 9), female=True),
    _moscow(100026, "nina.ozhegova", "Нина Ожегова", "Nina Ozhegova", "Глебовна", female=True, born=date(1990, 11, 2),
            hired=date(2018, 3, 26), division="Technology", department="Data Platform", team="Communication Analytics",
            position="Старший аналитик", family="analytics", manager="100101"),
)  # fmt: skip
