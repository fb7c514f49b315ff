"""Themes against default BERTopic on the same embeddings: right, stable, lasting, and early.

    python -m evaluation.themes [--texts N] [--reviews N] [--output themes.html]

Labels of banking77 and clinc150 are the truth for groups; app reviews have none, and show coherence and
stability. Needs the `train` extra for the peer and VOC_DATA_DIR for the data.
"""

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.page import heading, page, paragraph, print_table, table
from evaluation.sets import data_folder, read_rows
from evaluation.themes_emerging import VOLUME, plant
from evaluation.themes_measures import (
    adjusted_rand,
    coherence,
    diversity,
    normalised_mutual_information,
    pairwise_agreement,
    purity,
)
from voc.classify.bundle import find_live_bundle, load_bundle
from voc.classify.model import Model
from voc.themes.fit import FitSettings, Fitted, fit_themes
from voc.themes.terms import theme_terms

Ints = NDArray[np.int64]
Table = tuple[str, list[str], list[list[str]]]
MOST_TOKENS = 128  # of a text; reviews beyond it are few
NEW_SHARE = 0.2  # of new texts in a refit
PLANTED = 5  # complaints planted a set


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts with embeddings (n, dim), and labels (n,) where the set has them."""

    name: str
    texts: list[str]
    embeddings: NDArray[np.float32]
    labels: list[str]


def read_corpus(model: Model, folder: Path, name: str, most: int) -> Corpus:
    """An even sample of a set, embedded."""
    rows = [row for row in read_rows(folder / f"{name}.csv.gz") if row["text"].strip()]
    rows = [rows[i] for i in np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)]
    texts = [row["text"] for row in rows]
    parts = []
    for i in range(0, len(texts), 1024):
        parts.append(model.logits(texts[i : i + 1024], max_tokens=MOST_TOKENS).embedding())
        print(f"\rembedding {name}: {i + len(parts[-1]):,}/{len(texts):,}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return Corpus(
        name, texts, np.concatenate(parts), [json.loads(row["meta"]).get("intent", "") for row in rows]
    )


def ours(corpus: Corpus, chosen: Ints | None = None, **settings: int) -> Fitted:
    """The service at its defaults on a corpus, or on some of its texts."""
    rows = np.arange(len(corpus.texts)) if chosen is None else chosen
    return fit_themes(
        [str(i) for i in rows], [corpus.texts[i] for i in rows], corpus.embeddings[rows], bundle="live/0",
        settings=FitSettings(**settings),  # type: ignore[arg-type]
    )  # fmt: skip


def bertopic(corpus: Corpus, *, seed: int, reduce: bool = False) -> tuple[Ints, Ints | None]:
    """Default BERTopic on the same embeddings: its topics, and them after its own reduction of outliers."""
    from bertopic import BERTopic
    from umap import UMAP

    umap = UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=seed, n_jobs=1)
    model = BERTopic(embedding_model=None, umap_model=umap)
    topics, _ = model.fit_transform(corpus.texts, corpus.embeddings)
    if not reduce:
        return np.array(topics), None
    reduced = model.reduce_outliers(
        corpus.texts, topics, strategy="embeddings", embeddings=corpus.embeddings, threshold=0
    )
    return np.array(topics), np.array(reduced)


def right(corpora: list[Corpus]) -> Table:
    """Themes against labels."""
    rows = []
    for corpus in corpora:
        label = np.unique(corpus.labels, return_inverse=True)[1].astype(np.int64)
        began = time.perf_counter()
        topics, reduced = bertopic(corpus, seed=0, reduce=True)
        peer_s = time.perf_counter() - began
        began = time.perf_counter()
        mine = ours(corpus).assigned.theme
        mine_s = time.perf_counter() - began
        placed = topics >= 0
        for name, theme, seconds in (
            ("BERTopic, default", topics, peer_s),
            ("BERTopic, outliers reduced", reduced, peer_s),
            ("voc themes", mine, mine_s),
        ):
            assert theme is not None
            there = placed & (theme >= 0)
            rows.append([
                f"{corpus.name}: {name}", f"{len(np.unique(theme[theme >= 0]))} / {label.max() + 1}",
                f"{(theme < 0).mean():.1%}", f"{adjusted_rand(theme, label):.3f}",
                f"{normalised_mutual_information(theme, label):.3f}", f"{purity(theme, label):.3f}",
                f"{purity(theme[there], label[there]):.3f}", f"{seconds:.0f}",
            ])  # fmt: skip
            print(*rows[-1], sep="  ", file=sys.stderr)
    header = ["set", "themes / labels", "none", "ARI", "NMI", "purity", "purity, peer's own", "s"]
    return "Right: against labels (none is a group of its own in ARI and NMI)", header, rows


def stable(corpus: Corpus, n_seeds: int, peer_seeds: int) -> Table:
    """Coherence and diversity of terms, agreement between seeds and between samples."""
    fits = [ours(corpus, seed=seed).assigned.theme for seed in range(n_seeds)]
    draw = np.random.default_rng(0)
    everything = np.arange(len(corpus.texts))
    samples = []
    for _ in range(3):
        kept = np.sort(draw.permutation(len(corpus.texts))[: round(0.9 * len(corpus.texts))])
        fit = ours(corpus, kept).fit
        samples.append(fit.assign(corpus.embeddings).theme[everything])
    rows = [_stability_row("voc themes", corpus, fits, samples)]
    if peer_seeds:
        peers = [bertopic(corpus, seed=seed)[0] for seed in range(peer_seeds)]
        rows.append(_stability_row("BERTopic, default", corpus, peers, None))
    header = [
        "method", "themes", "none", "NPMI", "diversity", "seeds", "ARI seeds, mean", "least", "ARI 90 % samples",
    ]  # fmt: skip
    return f"Stable: {corpus.name}, {len(corpus.texts):,} texts", header, rows


def _stability_row(name: str, corpus: Corpus, fits: list[Ints], samples: list[Ints] | None) -> list[str]:
    theme = fits[0]
    terms = theme_terms(corpus.texts, theme, int(theme.max()) + 1)
    mean, least = pairwise_agreement(fits) if len(fits) > 1 else (float("nan"),) * 2
    return [
        name, str(int(theme.max()) + 1), f"{(theme < 0).mean():.1%}", f"{coherence(terms, corpus.texts):.3f}",
        f"{diversity(terms):.3f}", str(len(fits)), f"{mean:.3f}", f"{least:.3f}",
        f"{pairwise_agreement(samples)[0]:.3f}" if samples else "-",
    ]  # fmt: skip


def lasting(corpora: list[Corpus]) -> Table:
    """Do unchanged texts keep their theme id when a fifth of new texts comes?"""
    rows = []
    for corpus in corpora:
        n = len(corpus.texts)
        first = np.sort(np.random.default_rng(0).permutation(n)[: round(n / (1 + NEW_SHARE))])
        old = ours(corpus, first)
        before = np.array([*(t.id for t in old.fit.themes), "none"])[old.assigned.theme]
        for name, afresh in (("going on", False), ("found afresh, matched", True)):
            new = fit_themes(
                [str(i) for i in range(n)], corpus.texts, corpus.embeddings, bundle="live/0",
                settings=FitSettings(), previous=old.fit, afresh=afresh,
            )  # fmt: skip
            after = np.array([*(t.id for t in new.fit.themes), "none"])[new.assigned.theme][first]
            kinds = Counter(event.kind for event in new.fit.events)
            rows.append([
                f"{corpus.name}: {name}", f"{n - len(first):,} of {n:,}", f"{(before == after).mean():.1%}",
                *(str(kinds[k]) for k in ("survived", "born", "died", "split", "merged")),
            ])  # fmt: skip
    header = ["refit", "new texts", "keep their id", "survived", "born", "died", "split", "merged"]
    return "Lasting: a refit with a fifth of new texts", header, rows


def early(corpora: list[Corpus]) -> Table:
    """Complaints planted at VOLUME of a stream; themes fitted without them."""
    rows = []
    for corpus in corpora:
        labels = np.array(corpus.labels)
        common = [name for name, n in Counter(corpus.labels).most_common() if n >= 50 and name != "oos"]
        for i, name in enumerate(common[:: max(1, len(common) // PLANTED)][:PLANTED]):
            is_new = labels == name
            fit = ours(corpus, np.flatnonzero(~is_new)[::2]).fit
            one = plant(fit, corpus.texts, corpus.embeddings, is_new, name=name, seed=i)
            rows.append([
                f"{corpus.name}: {name}", str(one.n_planted), "no" if one.n_seen is None else str(one.n_seen),
                f"{one.share:.0%}", str(one.n_quotes), str(one.n_others), str(one.n_shuffled),
            ])  # fmt: skip
            print(*rows[-1], sep="  ", file=sys.stderr)
    header = [
        "new complaint", "planted", "flagged after its texts", "of it", "quotes", "other flags", "shuffled: flags",
    ]  # fmt: skip
    return f"Early: a new complaint at {VOLUME:.0%} of the volume", header, rows


def main() -> None:
    """Measure and print; write a page where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--texts", type=int, default=100_000, help="most texts of each labelled set")
    parser.add_argument("--reviews", type=int, default=10_000, help="app reviews, an even sample")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peer-seeds", type=int, default=2, help="seeds for BERTopic, which is slow")
    parser.add_argument("--output", type=Path, help="HTML page")
    args = parser.parse_args()
    model = Model(load_bundle(find_live_bundle(Path("models"))))
    data = data_folder()
    labelled = [read_corpus(model, data / "texts", name, args.texts) for name in ("banking77", "clinc150")]
    reviews = read_corpus(model, data / "changes", "app_reviews", args.reviews)
    tables = [lasting([*labelled, reviews]), early(labelled), stable(reviews, args.seeds, args.peer_seeds)]
    tables.insert(0, right(labelled))
    for title, header, rows in tables:
        print(f"\n{title}")
        print_table(header, rows)
    if args.output:
        write_page(args.output, model.bundle.id, tables, reviews)


def write_page(path: Path, bundle: str, tables: list[Table], reviews: Corpus) -> None:
    """The tables, and what the themes of the reviews read like."""
    parts = [
        paragraph(f"Embeddings of {bundle}; the peer is BERTopic at its defaults on the same embeddings.")
    ]
    parts += [table(header, rows, caption=title) for title, header, rows in tables]
    parts.append(heading("Themes of the app reviews, as found"))
    themes = ours(reviews).fit.themes[:40]
    rows = [[t.name, t.n_texts, t.broad or "", t.quotes[0].text[:120] if t.quotes else ""] for t in themes]
    parts.append(table(["name", "texts", "wider theme", "a quote"], rows))
    path.write_text(page("Themes", parts), encoding="utf-8")


if __name__ == "__main__":
    main()
