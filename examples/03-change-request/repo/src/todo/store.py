"""The list as it is kept: a JSON file."""

import json
from dataclasses import asdict, dataclass


@dataclass
class Item:
    number: int
    text: str
    done: bool = False


class Store:
    def __init__(self, path):
        self.path = path
        self.items = [Item(**item) for item in json.loads(path.read_text())] if path.exists() else []

    def add(self, text):
        item = Item(number=max((item.number for item in self.items), default=0) + 1, text=text)
        self.items.append(item)
        return item

    def find(self, number):
        """The item with that number.

        Raises:
            KeyError: there is none.
        """
        for item in self.items:
            if item.number == number:
                return item
        raise KeyError(number)

    def save(self):
        self.path.write_text(json.dumps([asdict(item) for item in self.items], indent=1))
