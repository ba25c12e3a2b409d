from mini.core import Config, Function, Variable, as_array, as_variable, no_grad, using_config
