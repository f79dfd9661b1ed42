"""Operations on finished files: list and delete."""
