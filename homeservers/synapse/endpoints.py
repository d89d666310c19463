"""Prints, as JSON, the path of every client endpoint of this Synapse that answers GET: for tests that ask all of them.

Parameters stand as {name}. A path that has several names comes once for each.
"""

import importlib
import inspect
import itertools
import json
import pkgutil
import re._constants as sre
import re._parser as parser

import synapse.rest.client
from synapse.http.servlet import RestServlet


def texts(parsed):
    """All texts of a pattern, with its optional parts and its parameters' names."""
    parts = []
    for kind, value in parsed:
        if kind is sre.LITERAL:
            parts.append([chr(value)])
        elif kind is sre.SUBPATTERN:
            number, _, _, inner = value
            name = names.get(number)
            parts.append([f"{{{name}}}"] if name else texts(inner))
        elif kind is sre.BRANCH:
            parts.append([text for branch in value[1] for text in texts(branch)])
        elif kind is sre.MAX_REPEAT:
            parts.append(([""] if value[0] == 0 else []) + texts(value[2]))
        elif kind is sre.ANY:
            parts.append(["."])
        elif kind is sre.IN:
            parts.append([chr(found) for of, found in value if of is sre.LITERAL] or [""])
        elif kind is not sre.AT:
            parts.append([""])
    return ["".join(each) for each in itertools.product(*parts)]


found = set()
for module in pkgutil.iter_modules(synapse.rest.client.__path__):
    loaded = importlib.import_module(f"synapse.rest.client.{module.name}")
    for _, servlet in inspect.getmembers(loaded, inspect.isclass):
        if not issubclass(servlet, RestServlet) or not hasattr(servlet, "on_GET"):
            continue
        for pattern in getattr(servlet, "PATTERNS", None) or ():
            names = {number: name for name, number in pattern.groupindex.items()}
            found.update(texts(parser.parse(pattern.pattern)))

print(json.dumps(sorted(found)))
