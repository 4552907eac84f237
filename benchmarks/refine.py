"""How near coarse grids, refined, come to the worst margin on a fine grid of rotations and shifts.

python benchmarks/refine.py runs/study-spatial-quick/worst-of-k --n 40
"""

import argparse
import time

import saddlepoint as sp


def main() -> None:
    """Print one line per attack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a folder written by saddlepoint train, or a study's")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--degrees", type=float, default=30)
    parser.add_argument("--pixels", type=float, default=3)
    parser.add_argument("--fine", type=int, nargs=3, default=(31, 13, 13))
    args = parser.parse_args()
    threat = sp.RotateTranslate(args.degrees, args.pixels)
    model = sp.load_model(args.model).model.eval()
    x, y = sp.load_data(args.data).split("test").batch(slice(0, args.n))
    attacks = (
        sp.Grid(counts=tuple(args.fine)),
        sp.Grid(),
        sp.Refine(rounds=1, keep=2),
        sp.Refine(),
        sp.Refine(rounds=5, keep=12),
        sp.WorstOf(k=319),
        sp.PGD(steps=106, loss="margin"),
    )
    fine = None
    for attack in attacks:
        begin = time.process_time()
        found = sp.search(attack, model, x, y, threat, early_stop=False, loss="margin")
        fine = found.margin if fine is None else fine
        short = fine - found.margin
        print(
            f"{attack!r}: {float(found.cost.forward.double().mean()) - 1:.0f} points, "
            f"{int(found.broken.sum())} of {len(y)} broken, short of the fine grid by "
            f"{float(short.mean()):.3f} on average and {float(short.max()):.3f} at most "
            f"(margins spread by {float(fine.std()):.1f}), as bad in "
            f"{float((short <= 1e-6).double().mean()):.0%}, {time.process_time() - begin:.1f} CPU s"
        )


if __name__ == "__main__":
    main()
