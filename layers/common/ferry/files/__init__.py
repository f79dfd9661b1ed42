"""Operations on files: store a whole file, read and change its record, list, move, delete, restore."""
