"""Completes lists and objects with Python code that is generated once for each selection of a plan.

The way of a place in a plan (`site`): `shapes` reads the schema and the template into a small tree, `writing` turns the
tree into the text of two functions, `program` compiles it, `run` calls it for a request and hands whatever it does not
expect to the stock executor. The text for `child { name: text colour }` of a list, where `colour` has a condition:

    def many(items, run):
        yes0 = no0 = 0
        rule0 = None
        put = run.rows.append
        try:
            for s0 in items:
                mark = (yes0, no0, rule0,)
                try:
                    if type(s0) not in known2: vouch1(s0)
                    if getattr(s0, '__as_strawberry_type__', None) is not None: raise Mismatch
                    v3 = s0.child
                    if v3 is not None:
                        if type(v3) not in known5: vouch4(v3)
                        if getattr(v3, '__as_strawberry_type__', None) is not None: raise Mismatch
                        facts6 = getattr(v3, 'facts', None)
                        answer7 = None if facts6 is None else (facts6.get(c8) == c9) and c10 or None
                        v11 = v3.text
                        if not (type(v11) is str) and v11 is not None: v11 = leaf12(v11)
                        if answer7 is not None:
                            yes0 += 1
                            rule0 = answer7
                            v13 = v3.colour
                            if v13 is not None: v13 = enum15.get(id(v13)) or leaf14(v13)
                        else:
                            no0 += 1
                            v13 = None
                        o16 = {'name': v11, 'colour': v13}
                        v3 = o16
                    o17 = {'child': v3}
                except Exception:
                    yes0, no0, rule0, = mark
                    run.tally(0, yes0, no0, rule0)
                    yes0 = no0 = 0
                    rule0 = None
                    put(run.fall_back(s0))
                else:
                    put(o17)
        finally:
            run.tally(0, yes0, no0, rule0)

`Program.source` is the text of a program. Texts of a document come into it as `repr` only; of the policy it has
the form of short conditions, with names for all that they say, and of a request's data nothing. What the row itself is decided
by is counted after its `try`, so that there is nothing to take back.

A field that some see masked has a third branch beside those for an admitted and a refused row, which puts the mask of the
completed value in its place, counts it as `hid`, and records no reading.
"""
