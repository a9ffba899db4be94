# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HOVA-500K asked: its records as questions, the maps of the answers in files, its rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np

from affordance_ros.datasets.hova import WHERE, Hova, HovaSample
from affordance_ros.datasets.hova_layout import LABELS, LAYOUTS
from affordance_ros.datasets.pictures import read_rgb
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.attachments import Attachment
from affordance_ros.evaluation.benchmark import Item
from affordance_ros.evaluation.benchmark_kind import BenchmarkKind, Choice, PublishedTable, Row
from affordance_ros.evaluation.fingerprint import fingerprint
from affordance_ros.evaluation.hova_scores import score_hova, write_hova_files
from affordance_ros.evaluation.records import Json
from affordance_ros.results import Frame, Heatmap, Prediction, Query

QUESTION = 'Where should I interact with the {} to {} it? Please output segmentation mask.'  # eval.py
_LOSSLESS = [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_ADOBE_DEFLATE, cv2.IMWRITE_TIFF_PREDICTOR, 3]


@dataclass(frozen=True)
class HovaBenchmark:
    """sources: names of the four data sets. limit: records per source, None: all."""

    data: Hova
    sources: tuple[str, ...]
    limit: int | None = None

    def describe(self) -> Json:
        """Return the choice of questions and the fingerprints of the lists; the maps themselves are in the answers."""
        return {
            'split': self.data.split,
            'layout': self.data.layout,
            'labels': self.data.labels if self.data.split == 'train' else '',
            'sources': list(self.sources),
            'limit': self.limit,
            'files': {source: fingerprint(self.data.annotations(source)) for source in self.sources},
        }

    def items(self) -> Iterator[Item]:
        """Yield the questions, source by source in the order of the lists."""
        for source in self.sources:
            for sample in islice(self.data.samples(source), self.limit):
                yield self._item(sample)

    def _item(self, sample: HovaSample) -> Item:
        for path in (sample.truth, *([sample.part] if sample.part else [])):
            if not path.is_file():  # told before a model is loaded
                raise AffordanceError(
                    Code.BAD_INPUT, f'there is no map {path} for record {sample.index} of {sample.source}'
                )

        def frames() -> Sequence[Frame]:
            return [Frame(rgb=read_rgb(sample.image))]

        truth: Json = {
            'source': sample.source,
            'index': sample.index,
            'object': sample.object,
            'action': sample.action,
            'map': Attachment(sample.truth, sample.truth.suffix),
            'part': Attachment(sample.part, sample.part.suffix) if sample.part else None,
        }
        if sample.object.strip():
            query = Query(object=sample.object, action=sample.action, task='heatmap')
        else:  # a label with nothing in its parentheses; the official question has a gap too
            query = Query(QUESTION.format(sample.object, sample.action), task='heatmap')
        return Item(f'{sample.source}/{sample.index}', frames, query, truth)

    def record(self, prediction: Prediction) -> Json:
        """Return the map as a file, None where the model gave none. Raises BAD_INPUT for a model without maps."""
        if prediction.heatmap is None:
            raise AffordanceError(
                Code.BAD_INPUT, f'{prediction.model} gives no heat map, which HOVA-500K is scored on; ask glover_plus'
            )
        return {'map': map_file(prediction.heatmap) if np.any(prediction.heatmap.values) else None}


def map_file(heatmap: Heatmap) -> Attachment:
    """Return a map as a float32 TIFF, without loss."""
    done, content = cv2.imencode('.tiff', np.asarray(heatmap.values, np.float32), _LOSSLESS)
    if not done:
        raise AffordanceError(Code.BAD_INPUT, f'a map of {heatmap.values.shape} cannot be written as TIFF')
    return Attachment(content.tobytes(), '.tiff')


def _open_hova(choice: Choice) -> HovaBenchmark:
    if choice.coordinates or choice.image_roots:
        raise AffordanceError(Code.BAD_INPUT, 'hova has no formats and no further folders of images to choose from')
    choice.check_settings('layout', 'labels')
    choice.needs('heatmap')
    layout, labels = choice.setting('layout', LAYOUTS), choice.setting('labels', LABELS)
    data = Hova(choice.root, choice.split or 'test', layout, labels)
    sources = choice.tasks or tuple(source for source in data.sources if _is_there(data, source))
    for source in sources or data.sources[:1]:
        data.annotations(source)  # says what is missing
    return HovaBenchmark(data, sources, choice.limit)


def _is_there(data: Hova, source: str) -> bool:
    return (data.root / data.folders(source).annotations).is_file()


_FIGURES = ('kld', 'sim', 'nss', 'sim_part')


def _hova_rows(scores: Json) -> list[Row]:
    """Return a row for each figure; right: over all questions, official: over those with a map."""
    rows = []
    for source, score in scores.items():
        for name in _FIGURES:
            if name in score['of_all']:
                official = score['official'].get(name)
                ours = score['of_all'][name]
                counts = score['questions'], score['unanswered']
                rows.append(Row(source, *counts, name, ours, official, left_out=score['official_left_out']))
    return rows


HOVA = BenchmarkKind(
    WHERE,
    _open_hova,
    score_hova,
    _hova_rows,
    write_hova_files,
    PublishedTable(
        'nothing here: the tables of the papers (arXiv 2411.12286, 2505.11865) are not transcribed',
        (
            'kld: 0 is best; sim: 1 is best; nss: standard deviations above the mean; sim_part: the share of a '
            'Gaussian at the highest pixel that lies in the annotated part',
            'right: over all questions, one without a map is an empty map; official: over those with a map only',
            'numbers compare only on the same truth: the first code scored maps of one point (layout=snapshot), the '
            'archives hold maps of all points (layout=release)',
        ),
        {},
    ),
    {'glover': {'profile': 'infer'}, 'glover_plus': {'profile': 'infer'}},
    'soft maps of where to touch, on HANDAL, Ego4D, EPIC-KITCHENS and 3DOI',
    'images: those of the four sources; none stated for the maps',
)
