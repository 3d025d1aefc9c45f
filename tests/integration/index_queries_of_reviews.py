"""The questions of reviews of access, each with its index; see index_queries.py."""

USER, API_KEY = "md5('user-17')::uuid", "md5('key-17')::uuid"
GRANT = f"select id from core.user_roles where user_id = {USER} order by id limit 1"
DECISIONS = "select decision from core.access_reviews where"
QUERIES: list[tuple[str, str, str]] = [
    ("decisions about a grant", "access_reviews_user_role_id_key", f"{DECISIONS} user_role_id = ({GRANT})"),
    ("decisions about a key", "access_reviews_api_key_id_key", f"{DECISIONS} api_key_id = {API_KEY}"),
    ("decisions about one account", "access_reviews_user_id_idx", f"{DECISIONS} user_id = {USER}"),
    ("what one reviewer decided", "access_reviews_reviewer_id_idx", f"{DECISIONS} reviewer_id = {USER}"),
    (
        "decisions of a week",
        "access_reviews_imported_at_idx",
        f"{DECISIONS} imported_at >= now() - interval '7 days'",
    ),
]
