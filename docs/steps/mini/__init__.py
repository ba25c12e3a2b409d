from mini.core import Config, Function, Parameter, Variable, as_array, as_variable, no_grad, using_config
