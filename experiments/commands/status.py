"""memories held, capacity, what is consolidated, drift of the language model"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("brain", type=Path, metavar="BRAIN", help="directory made by init")


def run(arguments: Namespace) -> dict[str, Any]:
    """Report on the brain."""
    from circuits.brain import Brain
    from experiments.childhood import newborn_scores
    from rules.willshaw import Willshaw

    with Brain.open(arguments.brain, Willshaw()) as brain:
        gauge = brain.hippocampus.gauge()
        nights = [event for event in brain.ledger if event["event"] == "night"]
        days = [event for event in brain.ledger if event["event"] == "day"]
        perplexity = newborn_scores(brain.cortex)["perplexity"]
        birth = brain.ledger[0]
        values = {
            "memories_held": gauge.n_episodes,
            "fragments_held": gauge.n_fragments,
            "tokens_held": gauge.n_items,
            "capacity_used": gauge.used,
            "room_tokens": gauge.room,
            "synapses_potentiated": gauge.potentiated,
            "synapses": gauge.n_synapses,
            "days": len(days),
            "nights": len(nights),
            "cycles_of_open_night": brain.cycles_slept,
            "consolidated": sum(event["n_consolidated"] for event in nights),
            "expected_and_left_out": sum(event["n_expected"] for event in days),
            "parameters_at_birth": birth["parameters"],
            "parameters": brain.n_parameters,
            "perplexity_at_birth": birth["perplexity"],
            "perplexity": perplexity,
            "drift_last_night": nights[-1]["drift"] if nights else 1.0,
        }
    print(
        f"hippocampus   {gauge.n_episodes} memories, and openings of {gauge.n_fragments} that "
        f"the cortex has taken over; {gauge.n_items} tokens in all"
    )
    print(f"capacity      {gauge.used:.1%} used, room for about {gauge.room:,} tokens")
    print(f"synapses      {gauge.potentiated:,} of {gauge.n_synapses:,} potentiated")
    print(f"consolidated  {values['consolidated']} memories in {len(nights)} nights")
    print(
        f"cortex        {values['parameters']:,} weights ({birth['parameters']:,} at birth), "
        f"held-out perplexity {perplexity:.2f} ({values['perplexity_at_birth']:.2f} at birth)"
    )
    if brain.cycles_slept:
        print(f"asleep        after cycle {brain.cycles_slept} of an interrupted night")
    return values
