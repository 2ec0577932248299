"""Marks on scenes."""

import sqlalchemy as sa
from alembic import op

from backend.database import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scene_marks",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("scene", sa.String(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "scene", name="pk_scene_marks"),
        sa.ForeignKeyConstraint(["dataset"], ["datasets.name"], name="fk_scene_marks_dataset_datasets"),
    )
    op.create_index("ix_scene_marks_dataset_flagged", "scene_marks", ["dataset", "flagged"])
    # Without the default SQLite would have to make the table anew, which jobs refer to.
    op.add_column("datasets", sa.Column("marks_version", sa.Integer(), nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    op.drop_table("scene_marks")
    op.drop_column("datasets", "marks_version")
