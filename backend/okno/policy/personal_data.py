"""What the policy holds about people: nothing."""

from okno.storage.personal_data import PersonalData

PERSONAL_DATA = PersonalData(
    "policy",
    others={
        "policy_decided": "rights and facts of rows without who asked and about whom; of ids only whether they were one's own",
        "policy_decision_count": "how often in an hour",
    },
)
