"""The dimension tables of the tiny TPC-DS database: few rows, whose values are those that the queries ask for."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from random import Random

Row = dict[str, object]  # by column name; money in cents

FIRST_DAY = datetime.date(1998, 1, 1)
LAST_DAY = datetime.date(2003, 12, 31)
FIRST_DATE_SK = 2_450_815  # the Julian day of FIRST_DAY
ITEMS, CUSTOMERS, ADDRESSES = 60, 40, 30
STORES, WAREHOUSES, PROMOTIONS, REASONS, SITES, PAGES, CENTERS = 6, 3, 6, 5, 4, 6, 4
CATALOG_PAGES, SHIP_MODES, HOUSEHOLDS, INCOME_BANDS = 10, 6, 24, 20
NULL_SHARE = 0.03

_ZIPS = ("24128", "76232", "65084", "85669", "86197", "35709")
_COUNTIES = ("Williamson County", "Ziebach County", "Walker County", "Franklin Parish", "Orange County", "Bronx County")
_PEOPLE = {
    "ca_county": ("Rush County", "Toole County", "Williamson County", "Jefferson County", "Franklin Parish"),
    "ca_city": ("Fairview", "Midway", "Edgewood", "Oak Grove", "Pleasant Hill", "Centerville"),
    "ca_state": ("GA", "TX", "TN", "KY", "VA", "CA", "OH", "GA", "IN", "LA", "IL", "MS", "GA"),
    "ca_zip": _ZIPS,
    "ca_country": ("United States",),
    "ca_gmt_offset": (-500, -500, -500, -700),
    "ca_location_type": ("single family", "condo", "apartment", None),
    "ca_street_name": ("Main ", "Oak ", "Park 2nd"),
    "ca_street_type": ("Street", "Ave", "Blvd"),
}
_PRODUCTS = (
    ("Books", "personal", "scholaramalgamalg #14"),
    ("Women", "maternity", "amalgimporto #1"),
    ("Women", "dresses", "edu packscholar #1"),
    ("Electronics", "portable", "exportiunivamalg #9"),
    ("Men", "shirts", "exportiimporto #1"),
    ("Sports", "football", "scholaramalgamalg #7"),
    ("Home", "reference", "edu packscholar #1"),
    ("Books", "computers", "scholaramalgamalg #9"),
    ("Men", "pants", "exportiimporto #1"),
    ("Music", "classical", "importoamalg #1"),
    ("Jewelry", "fragrances", "amalgimporto #1"),
    ("Children", "self-help", "exportiunivamalg #9"),
    ("Electronics", "stereo", "importoamalg #1"),
)
_MANUFACTURERS = (128, 977, 677, 740, 129, 350)
_PRICES = (120, 7050, 599, 6600, 8800)
_COLOURS = ("pale", "slate", "purple", "powder")
_DEMOGRAPHICS = (
    ("S", "College"),
    ("M", "Advanced Degree"),
    ("W", "2 yr Degree"),
    ("M", "4 yr Degree"),
    ("D", "2 yr Degree"),
    ("S", "Unknown"),
    ("M", "Unknown"),
    ("W", "Advanced Degree"),
)
DEMOGRAPHICS = 2 * len(_DEMOGRAPHICS)


def identifier(number: int) -> str:
    """Return a business key: 16 letters, as dsdgen writes them."""
    return f"AAAAAAAA{number:08}".translate(str.maketrans("0123456789", "ABCDEFGHIJ"))


def make_dimensions(rng: Random) -> dict[str, list[Row]]:
    """Make every table that is not a fact table; what a row does not name is NULL."""
    return {
        "date_dim": _dates(),
        "time_dim": _times(),
        "item": [_item(number) for number in range(ITEMS)],
        "customer": [_customer(number, rng) for number in range(CUSTOMERS)],
        "customer_address": _cycled("ca_address_sk", "ca_address_id", ADDRESSES, _PEOPLE),
        "customer_demographics": [_demographic(number) for number in range(DEMOGRAPHICS)],
        "household_demographics": [_household(number) for number in range(HOUSEHOLDS)],
        "income_band": [
            {"ib_income_band_sk": band + 1, "ib_lower_bound": 10_000 * band + (band > 0), "ib_upper_bound": top}
            for band in range(INCOME_BANDS)
            for top in (10_000 * (band + 1),)
        ],
        "store": _cycled("s_store_sk", "s_store_id", STORES, _STORE),
        "call_center": _cycled("cc_call_center_sk", "cc_call_center_id", CENTERS, _CALL_CENTER),
        "catalog_page": _cycled("cp_catalog_page_sk", "cp_catalog_page_id", CATALOG_PAGES, {"cp_type": ("monthly",)}),
        "web_site": _cycled("web_site_sk", "web_site_id", SITES, _WEB_SITE),
        "web_page": _cycled("wp_web_page_sk", "wp_web_page_id", PAGES, {"wp_char_count": (5000, 5150, 2000)}),
        "warehouse": _cycled("w_warehouse_sk", "w_warehouse_id", WAREHOUSES, _WAREHOUSE),
        "promotion": _cycled("p_promo_sk", "p_promo_id", PROMOTIONS, _PROMOTION),
        "reason": _cycled("r_reason_sk", "r_reason_id", REASONS, {"r_reason_desc": ("reason 28", "unwanted", "late")}),
        "ship_mode": _cycled("sm_ship_mode_sk", "sm_ship_mode_id", SHIP_MODES, _SHIP_MODE),
    }


_STORE = {
    "s_store_name": ("ought", "able", "ese", "anti", "cally", "ation"),
    "s_number_employees": (220, 295, 240, 300),
    "s_floor_space": (5_250_760, 7_000_000),
    "s_hours": ("8AM-8AM", "8AM-4PM"),
    "s_market_id": (8, 8, 4),
    "s_company_id": (1,),
    "s_company_name": ("Unknown",),
    "s_street_number": ("767", "255"),
    "s_street_name": ("Spring ", "Sycamore "),
    "s_street_type": ("Wy", "Dr."),
    "s_suite_number": ("Suite 250", None),
    "s_city": ("Fairview", "Midway", "Oak Grove"),
    "s_county": _COUNTIES,
    "s_state": ("TN", "SD", "AL", "GA", "TN"),
    "s_zip": _ZIPS,
    "s_country": ("United States",),
    "s_gmt_offset": (-500,),
    "s_tax_precentage": (3, 1),
}
_CALL_CENTER = {
    "cc_name": ("NY Metro", "Mid Atlantic", "North Midwest"),
    "cc_manager": ("Bob Belcher", "Felipe Perkins"),
    "cc_class": ("small", "large"),
    "cc_county": _COUNTIES,
    "cc_company": (1, 2),
}
_WEB_SITE = {
    "web_name": ("site_0", "site_1"),
    "web_company_name": ("pri", "pri", "able"),
    "web_company_id": (1, 1, 2),
}
_WAREHOUSE = {
    "w_warehouse_name": ("Conventional childr", "Important issues liv", None),
    "w_warehouse_sq_ft": (977_787, 294_242, 621_234),
    "w_city": ("Fairview", "Midway"),
    "w_county": _COUNTIES,
    "w_state": ("TN", "GA", "AL"),
    "w_country": ("United States",),
}
_PROMOTION = {
    "p_channel_dmail": ("Y", "N"),
    "p_channel_email": ("N", "Y", None),
    "p_channel_tv": ("N", "N", "Y"),
    "p_channel_event": ("N",),
    "p_promo_name": ("ought", "able", None),
    "p_response_target": (1,),
    "p_cost": (100_000,),
}
_SHIP_MODE = {
    "sm_type": ("EXPRESS", "OVERNIGHT", "REGULAR", "LIBRARY"),
    "sm_code": ("AIR", "SURFACE", "SEA"),
    "sm_carrier": ("DHL", "BARIAN", "UPS"),
}


def _cycled(key: str, name: str, count: int, values: Mapping[str, Sequence[object]]) -> list[Row]:
    return [
        {key: number + 1, name: identifier(number + 1)}
        | {column: choices[number % len(choices)] for column, choices in values.items()}
        for number in range(count)
    ]


def date_sk(day: datetime.date) -> int:
    """Return the key of a day in date_dim."""
    return FIRST_DATE_SK + (day - FIRST_DAY).days


def _dates() -> list[Row]:
    rows: list[Row] = []
    for offset in range((LAST_DAY - FIRST_DAY).days + 1):
        day = FIRST_DAY + datetime.timedelta(days=offset)
        quarter = (day.month + 2) // 3
        rows.append({
            "d_date_sk": FIRST_DATE_SK + offset,
            "d_date_id": identifier(FIRST_DATE_SK + offset),
            "d_date": day,
            "d_month_seq": (day.year - 1900) * 12 + day.month - 1,
            "d_week_seq": (day.toordinal() + 6) // 7 - 99_070,  # a week starts on Monday, see query 58
            "d_quarter_seq": (day.year - 1900) * 4 + quarter - 1,
            "d_year": day.year,
            "d_dow": (day.weekday() + 1) % 7,
            "d_moy": day.month,
            "d_dom": day.day,
            "d_qoy": quarter,
            "d_fy_year": day.year,
            "d_day_name": day.strftime("%A"),
            "d_quarter_name": f"{day.year}Q{quarter}",
            "d_holiday": "N",
            "d_weekend": "Y" if day.weekday() > 4 else "N",
        })  # fmt: skip
    return rows


def _times() -> list[Row]:
    """One row a quarter of an hour."""
    meals = {**dict.fromkeys((6, 7, 8), "breakfast"), 12: "lunch", **dict.fromkeys((17, 18, 19, 20), "dinner")}
    return [
        {
            "t_time_sk": seconds,
            "t_time_id": identifier(seconds),
            "t_time": seconds,
            "t_hour": seconds // 3600,
            "t_minute": seconds // 60 % 60,
            "t_second": 0,
            "t_am_pm": "AM" if seconds < 43_200 else "PM",
            "t_meal_time": meals.get(seconds // 3600),
        }
        for seconds in range(0, 86_400, 900)
    ]


def _item(number: int) -> Row:
    category, kind, brand = _PRODUCTS[number % len(_PRODUCTS)]
    maker = _MANUFACTURERS[number % len(_MANUFACTURERS)]
    colour, units, size = _COLOURS[number % len(_COLOURS)], "Ounce", "medium"
    if colour == "powder" and category == "Men":
        colour, units, size = "floral", "Dozen", "petite"
    categories = sorted({product[0] for product in _PRODUCTS})
    kinds = sorted({product[1] for product in _PRODUCTS})
    brands = sorted({product[2] for product in _PRODUCTS})
    return {
        "i_item_sk": number + 1,
        "i_item_id": identifier(number // 2),  # two revisions of each item, as dsdgen keeps them
        "i_rec_start_date": datetime.date(1997, 10, 27),
        "i_item_desc": None if number % 29 == 28 else f"Items of {kind} and of general interest {number // 2}",
        "i_current_price": None if number == 59 else _PRICES[number % len(_PRICES)] + number // 20,
        "i_wholesale_cost": _PRICES[number % len(_PRICES)] // 2,
        "i_brand_id": 1001 + brands.index(brand),
        "i_brand": brand,
        "i_class_id": 1 + kinds.index(kind),
        "i_class": kind,
        "i_category_id": 1 + categories.index(category),
        "i_category": category,
        "i_manufact_id": maker,
        "i_manufact": f"maker {maker}",
        "i_size": size,
        "i_formulation": f"{number}pale{number}",
        "i_color": colour,
        "i_units": units,
        "i_container": "Unknown",
        "i_manager_id": (1, 8, 28)[number % 3],
        "i_product_name": f"product {number // 2}",
    }


def _customer(number: int, rng: Random) -> Row:
    def maybe(value: object) -> object:
        return None if rng.random() < NULL_SHARE else value

    chosen = number % 5 == 0  # by query 91, for what the customer is and where
    return {
        "c_customer_sk": number + 1,
        "c_customer_id": identifier(number + 1),
        "c_current_cdemo_sk": maybe((7, 8)[number % 2] if chosen else rng.randrange(DEMOGRAPHICS) + 1),
        "c_current_hdemo_sk": maybe(2 if chosen else rng.randrange(HOUSEHOLDS) + 1),
        "c_current_addr_sk": 4 if chosen else 3 if number % 4 == 1 else rng.randrange(ADDRESSES) + 1,
        "c_first_shipto_date_sk": maybe(FIRST_DATE_SK + 30 + number),
        "c_first_sales_date_sk": maybe(FIRST_DATE_SK + number),
        "c_salutation": maybe(rng.choice(("Mr.", "Mrs.", "Dr."))),
        "c_first_name": maybe(rng.choice(("Ann", "Bob", "Cai", "Dee"))),
        "c_last_name": maybe(f"Name{number % 15}"),
        "c_preferred_cust_flag": maybe(rng.choice("YYN")),
        "c_birth_day": maybe(number % 28 + 1),
        "c_birth_month": maybe(number % 12 + 1),
        "c_birth_year": maybe(1930 + number),
        "c_birth_country": maybe(rng.choice(("TOGO", "UNITED STATES", "FIJI"))),
        "c_email_address": maybe(f"{number}@example.org"),
    }


def _demographic(number: int) -> Row:
    marital, education = _DEMOGRAPHICS[number % len(_DEMOGRAPHICS)]
    return {
        "cd_demo_sk": number + 1,
        "cd_gender": "MF"[number // len(_DEMOGRAPHICS)],
        "cd_marital_status": marital,
        "cd_education_status": education,
        "cd_purchase_estimate": 500 * (number % 5 + 1),
        "cd_credit_rating": ("Low Risk", "Good", "High Risk")[number % 3],
        "cd_dep_count": number % 4,
        "cd_dep_employed_count": number % 3,
        "cd_dep_college_count": number % 2,
    }


def _household(number: int) -> Row:
    return {
        "hd_demo_sk": number + 1,
        "hd_income_band_sk": number % INCOME_BANDS + 1,
        "hd_buy_potential": (">10000", "Unknown", "1001-5000", "0-500")[number % 4],
        "hd_dep_count": number % 8,
        "hd_vehicle_count": (number * 3) % 5,
    }
