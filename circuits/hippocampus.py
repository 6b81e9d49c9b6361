"""The hippocampus: entorhinal cortex, dentate gyrus, CA3 and CA1 as one fast memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.ca1 import CA1, CA1Config
from circuits.ca3 import CA3, CA3Config, Episode
from circuits.dentate_gyrus import DentateConfig, DentateGyrus
from circuits.entorhinal import EntorhinalConfig, EntorhinalCortex
from neurosim.codes import SparseCode
from neurosim.contracts import Completion, Replay, Rule
from neurosim.projections import SparseProjection
from neurosim.randomness import Streams


@dataclass(frozen=True)
class HippocampusConfig:
    """Sizes of the four regions, and the ablation of pattern separation.

    Parameters
    ----------
    entorhinal, dentate, ca3, ca1 : configurations of the regions
    longest : int [tokens]
        Longest episode, the end mark included.
    end : int
        Token that ends every episode.
    separation : bool
        False by-passes the dentate gyrus: CA3 codes are dense (`dense_sparsity` active) and
        follow the entorhinal input directly.
    dense_sparsity : float
    """

    entorhinal: EntorhinalConfig = field(default_factory=EntorhinalConfig)
    dentate: DentateConfig = field(default_factory=DentateConfig)
    ca3: CA3Config = field(default_factory=CA3Config)
    ca1: CA1Config = field(default_factory=CA1Config)
    longest: int = 128
    end: int = 2
    separation: bool = True
    dense_sparsity: float = 0.1


class Hippocampus:
    def __init__(self, config: HippocampusConfig, rule: Rule, streams: Streams) -> None:
        self.config = config
        self.entorhinal = EntorhinalCortex(config.entorhinal, streams.generator("entorhinal"))
        self.dentate = DentateGyrus(
            config.dentate, config.entorhinal.n_units, streams.generator("dentate_gyrus")
        )
        self.ca3 = CA3(
            config.ca3, config.dentate.n_units, config.entorhinal.n_item, rule, streams.generator("ca3")
        )
        self.ca1 = CA1(
            config.ca1, config.ca3.n_sequence, config.entorhinal.n_item, rule, streams.generator("ca1")
        )
        self.n_stored=0

    def states_of(self, tokens, index=None):
        activity = self.entorhinal.encode(np.asarray(tokens))
        z = self.dentate.normalised(activity)
        granules = [SparseCode.winners(row, self.config.dentate.k) for row in z]
        return self.ca3.detonate(granules, z, index)
    def store(self, tokens, index, strength):
        tokens=list(tokens)+[self.config.end]
        st=tuple(self.states_of(tokens,index))
        ep=Episode(index,st)
        self._write(ep,tokens,strength,1)
    def _write(self,ep,tokens,strength,sign):
        self.ca3.write(ep,[self.entorhinal.item(t) for t in tokens],strength,sign)
        for s,t in zip(ep.states,tokens): self.ca1.write(s,self.entorhinal.item(t),sign)
    def run(self,index,re=True):
        state,c=self.ca3.first_state(index); out=[];conf=[c]
        tr=self.entorhinal.begin() if hasattr(self.entorhinal,"begin") else None
        while True:
            t,_=self.entorhinal.decode(self.ca1.decode(state)); out.append(t)
            if t==self.config.end or len(out)>=self.config.longest: break
            if re: state=self.states_of(out,index)[-1]
            state,c=self.ca3.next_state(index,state); conf.append(c)
        return out,float(np.mean(conf))
    def recall(self,cue):
        st=self.states_of(cue)
        ev=self.ca3.cue([self.entorhinal.item(t) for t in cue],st)
        start=SparseCode.winners(ev,self.config.ca3.k_index)
        idx,ok=self.ca3.settle(start,0.0)
        return idx,ok
