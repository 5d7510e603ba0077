#!/usr/bin/env python3
"""Goal: each rule of tidy.py finds what it is there to find, and nothing in a tidy tree.

Method: a small tidy tree in a temporary folder; each test plants one violation and looks for the
one finding that must appear.
"""
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
HEADER = """/* A thing. */
#ifndef HL_WAL_THING_H
#define HL_WAL_THING_H

/* One more than `n`. */
int hl_thing(int n);

#endif
"""
SOURCE = """/* A thing. */
#include "wal/thing.h"

int hl_thing(int n)
{
    return n + 1;
}
"""


class Tree(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.addCleanup(self.tmp.cleanup)
        self.put("tests/tidy/layers.txt", "core/wal : sdk/kit\ncore/raft : sdk/kit\n"
                                          "core/server : core/wal uv\n")
        self.put("core/wal/thing.h", HEADER)
        self.put("core/wal/thing.c", SOURCE)
        self.put("core/wal/README.md", "`thing.c/.h`: a thing.\n")

    def put(self, path, text):
        path = os.path.join(self.tmp.name, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def run_tidy(self):
        return subprocess.run([sys.executable, os.path.join(HERE, "tidy.py"), self.tmp.name],
                              capture_output=True, text=True)

    def finds(self, text):
        out = self.run_tidy()
        self.assertEqual(out.returncode, 1, out.stdout + out.stderr)
        self.assertIn(text, out.stdout)
        self.assertIn(", 1 findings", out.stdout)

    def put_acceptance(self, *rows):
        self.put("tests/test_thing.c", "Test(thing, holds)\n{\n}\n")
        self.put("tests/README.md", "`test_thing.c`\n")
        self.put("docs/acceptance.md", "# Promises\n\n## Things: 1 to 2, 7\n\n"
                 "| item | promise | test | case |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")

    def test_a_promise_needs_a_test_that_exists(self):
        rows = [f"| {n} | it holds | `tests/test_thing.c` | `holds` |" for n in (1, 2, 7)]
        self.put_acceptance(*rows)
        self.assertIn(", 0 findings", self.run_tidy().stdout)
        self.put_acceptance(*rows[:2])
        self.finds("names no test")
        self.put_acceptance(*rows[:2], "| 7 | it holds | `tests/test_thing.c` | `hold` |")
        self.finds("has no case hold")
        self.put_acceptance(*rows[:2], "| 7 | it holds | `tests/test_thin.c` | `holds` |")
        self.finds("there is no tests/test_thin.c")

    def test_a_tidy_tree_has_no_findings(self):
        out = self.run_tidy()
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        self.assertIn("2 C files", out.stdout)

    def test_an_include_against_the_layers_is_found(self):
        self.put("core/raft/raft.c", '/* Raft. */\n#include "wal/thing.h"\n')
        self.put("core/raft/README.md", "raft\n")
        self.finds("core/raft may not include core/wal")

    def test_a_library_that_the_layer_may_not_use_is_found(self):
        self.put("core/wal/thing.c", SOURCE.replace('#include "', '#include <uv.h>\n#include "'))
        self.finds("core/wal may not include <uv.h>")

    def test_a_folder_without_a_layer_is_found(self):
        self.put("core/novel/a.c", "/* A. */\n")
        self.put("core/novel/README.md", "a\n")
        self.finds("no row in tests/tidy/layers.txt")

    def test_a_long_function_is_found(self):
        body = "    n = n + 1;\n" * 69
        self.put("core/wal/thing.c", SOURCE.replace("    return", body + "    return"))
        self.finds("hl_thing has 73 lines")

    def test_a_long_file_is_found(self):
        self.put("core/wal/thing.c", SOURCE + "/* x */\n" * 794)
        self.finds("file has 801 lines")

    def test_a_long_line_is_found(self):
        self.put("core/wal/thing.c", SOURCE + "/* " + "x" * 100 + " */\n")
        self.finds("columns, limit 100")

    def test_a_banned_call_is_found(self):
        self.put("core/wal/thing.c", SOURCE.replace("n + 1", 'atoi("1") + n'))
        self.finds("atoi() is banned")

    def test_a_banned_name_in_a_comment_or_string_is_not_a_call(self):
        self.put("core/wal/thing.c", SOURCE + '/* atoi(x) */\nstatic char x[] = "atoi(1)";\n')
        self.assertEqual(self.run_tidy().returncode, 0)

    def test_a_missing_guard_is_found(self):
        self.put("core/wal/thing.h", HEADER.replace("#define", "#undef"))
        self.finds("include guard must enclose")

    def test_a_guard_with_another_files_name_is_found(self):
        self.put("core/wal/thing.h", HEADER.replace("WAL_THING", "WAL_OTHER"))
        self.finds("should end in THING_H")

    def test_a_guard_used_twice_is_found(self):
        self.put("core/wal/sub/thing.h", HEADER)
        self.put("core/wal/sub/README.md", "thing\n")
        self.finds("include guard HL_WAL_THING_H is also that of")

    def test_a_declaration_without_a_comment_is_found(self):
        self.put("core/wal/thing.h", HEADER.replace("/* One more than `n`. */\n", ""))
        self.finds("without a comment directly above")

    def test_a_readme_that_forgets_a_file_is_found(self):
        self.put("core/wal/README.md", "nothing of note\n")
        out = self.run_tidy()
        self.assertIn("does not mention thing.c", out.stdout)
        self.assertIn("does not mention thing.h", out.stdout)

    def test_a_folder_without_a_readme_is_found(self):
        os.unlink(os.path.join(self.tmp.name, "core/wal/README.md"))
        self.finds("folder without a README.md")

    def test_leftovers_are_found(self):
        self.put("core/wal/thing.c", SOURCE + "/* FIX" + "ME later */\n")
        self.finds("leftover FIX" + "ME")

    def test_a_document_that_is_not_in_the_tree_is_found(self):
        self.put("core/wal/thing.c", SOURCE + "/* see NOWHERE.md */\n")
        self.finds("names NOWHERE.md, which is not in the tree")

    def test_an_unparenthesised_macro_is_found(self):
        self.put("core/wal/thing.c", SOURCE + "#define TWO 1 + 1\n")
        self.finds("macro value needs parentheses")

    def test_an_impure_library_is_found(self):
        self.put("tests/tidy/purity.txt", "wal : \n")
        self.put("build.c", "#include <time.h>\nlong now(void);\n"
                            "long now(void) { return (long)time(NULL); }\n")
        build = os.path.join(self.tmp.name, "build/core/wal")
        os.makedirs(build)
        source = os.path.join(self.tmp.name, "build.c")
        subprocess.run(["gcc", "-c", source, "-o", f"{build}/a.o"], check=True)
        subprocess.run(["ar", "rc", f"{build}/libhl_wal.a", f"{build}/a.o"], check=True)
        os.unlink(source)
        self.finds("calls time()")


if __name__ == "__main__":
    unittest.main()
